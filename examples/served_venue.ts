/**
 * A venue's script on Deno's own server, which listens at once: a simulator needs no `await`.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import {
  type FeedClient,
  reply,
  type VenueReply,
  VenueScript,
  type Wire,
} from "@aio-trader/core/testing";

/**
 * A venue on one port of 127.0.0.1 for HTTP and WebSocket, from its construction until `close()`.
 *
 * The server is polite: it cannot reset a connection, cut an answer or leave a close frame
 * unanswered. In the place of such a fault, a request is answered with 501, and the script's `reset()`
 * and `finish()` throw. A `LoopbackVenue` in front of this one can do all of that.
 */
export class ServedVenue extends VenueScript implements AsyncDisposable {
  /** What has happened so far. */
  readonly stats = {
    /** HTTP requests other than upgrades. */
    requests: 0,
    /** Those of them that were answered with 429. */
    throttled: 0,
    /** Upgrades that were granted. */
    accepted: 0,
    /** Upgrades that were refused. */
    refused: 0,
  };
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #closing = new AbortController();

  /** Starts listening. */
  constructor() {
    super();
    const listen = { hostname: "127.0.0.1", port: 0, onListen() {} };
    this.#server = Deno.serve(
      listen,
      (request, { remoteAddr }) =>
        request.headers.get("upgrade") === "websocket"
          ? this.#upgrade(request)
          : this.#answer(request, remoteAddr.port),
    );
  }

  /** The address of its HTTP side, without a path. */
  override get httpUrl(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The address of its WebSocket side, without a path. */
  override get wsUrl(): string {
    return `ws://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Closes every socket with 1001 and stops listening. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.feed.stop();
    await this.#server.shutdown();
  }

  /** Closes the venue. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Waits, but not beyond the end. */
  #wait(time: number): Promise<void> {
    return delay(time, { signal: this.#closing.signal }).catch(() => {});
  }

  async #answer(request: Request, connection: number): Promise<Response> {
    this.stats.requests++;
    const { method, url } = request;
    const { pathname, search } = new URL(url);
    const [headers, body] = [new Headers(request.headers), await request.text()];
    const incoming = { method, target: pathname + search, headers, body, connection };
    const turn = await this.play(incoming, (time) => this.#wait(time));
    if (turn.reply.status === 429) this.stats.throttled++;
    if (turn.ends === "answer" && !turn.isUnasked) return toResponse(turn.reply);
    return toResponse(reply(501, `Cannot end an exchange: it is ${turn.ends}, wanted an answer`));
  }

  async #upgrade(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const [path, headers] = [pathname + search, new Headers(request.headers)];
    const admission = await this.feed.admit({ path, headers });
    if (admission.verdict === "hang") await this.#wait(2 ** 31 - 1); // the longest that timers know
    if (admission.verdict === "refuse") {
      this.stats.refused++;
      return toResponse({ body: "", ...admission });
    }
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    socket.binaryType = "arraybuffer";
    let client: FeedClient | undefined;
    const isOpen = () => socket.readyState === WebSocket.OPEN;
    const refuse = () => {
      throw new TypeError("Cannot reset a connection: the server closes in order only");
    };
    const wire: Wire = {
      write: (frame) => isOpen() && socket.send(frame),
      close(code, reason) {
        if (client) client.isOpen = false; // nothing is sent any more
        socket.close(code, reason);
      },
      reset: refuse,
      finish: refuse,
    };
    socket.onopen = () => {
      this.stats.accepted++;
      client = this.feed.add(path, headers, wire);
    };
    socket.onmessage = ({ data }) =>
      this.feed.hear(typeof data === "string" ? data : new Uint8Array(data), client!);
    socket.onclose = ({ code }) =>
      client && Object.assign(client, { isOpen: false, closeCode: code });
    // A client that goes without a closing handshake is followed by `close` all the same.
    socket.onerror = () => {};
    return response;
  }
}

function toResponse({ status, headers, body }: VenueReply): Response {
  const isEmpty = status === 204 || status === 304;
  return new Response(isEmpty ? null : body as BodyInit, { status, headers });
}
