/**
 * How a request is handed to fetch so that no runtime repeats an order. Internal to
 * {@linkcode Session}. `docs/runtimes.md` gives the facts about each runtime, with their checks.
 *
 * @module
 */

import { netDenial } from "../platform/permission.ts";
import { RUNTIME, type Runtime } from "../platform/runtime.ts";
import type { Outgoing } from "./body.ts";
import type { HeaderRecord } from "./headers.ts";
import { IdleAnswers } from "./idle_answers.ts";
import { ReplyError } from "./reply_error.ts";

/** How a session was told to send. */
export interface TransportOptions {
  /** Sends the requests instead of the runtime's `fetch`, and answers for every repetition. */
  fetch?: typeof fetch | undefined;
  /** More options for `fetch`. */
  fetchOptions?: object | undefined;
}

/** A request, as far as a transport must know it. */
export interface Sending {
  /** The method, in upper case. */
  readonly method: string;
  /** Whether the method only reads: GET, HEAD or OPTIONS. */
  readonly isSafe: boolean;
  /** Whether the venue may get the request more than once without harm. */
  readonly isIdempotent: boolean;
}

type Bytes = Uint8Array<ArrayBuffer>;
type Init = RequestInit & { duplex?: "half" };

/** Bun before 1.4 repeats a POST too: seen with 1.2.0 to 1.3.11, though not with 1.3.14. */
const OLD_BUN = /^1\.[0-3]\./;

const REFUSAL = "this runtime may send an order twice by itself, " +
  "wanted Deno, Node, Bun or workerd, or a fetch of the session's own";

const encoder = new TextEncoder();

/**
 * Hands requests to fetch.
 *
 * - A known runtime sends an order at most once.
 * - In any other runtime, such as a browser, the transport refuses an order in words.
 * - Fetch follows no redirect: a redirect would take the keys along.
 * - No order takes an answer that lay on an idle connection before the order went out.
 *
 * A `fetch` of the session's own answers for itself: no order is refused, and none waits.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #runtime: Runtime;
  readonly #idle: IdleAnswers | undefined;
  #isAllowed = false;

  /**
   * Creates a transport.
   *
   * @param options How the session was told to send.
   * @param runtime The runtime; another one only in tests.
   */
  constructor(options: TransportOptions, runtime: Runtime = RUNTIME) {
    this.#options = options;
    this.#runtime = runtime;
    if (!options.fetch) this.#idle = new IdleAnswers(runtime);
  }

  /**
   * Says why this runtime cannot send a request.
   *
   * @returns The reason, in words, or `undefined` if the request can be sent.
   */
  refusal({ isSafe, isIdempotent }: Sending): string | undefined {
    const isRefused = this.#isUnknown && !isSafe && !isIdempotent;
    return isRefused ? REFUSAL : undefined;
  }

  /**
   * Tells whether the runtime may repeat the request in silence. Every failure of such a request
   * has the outcome `"unknown"`. The answer is `false` for every order that the transport sends.
   *
   * @param body The body, before it has been made ready for `fetch`.
   */
  mayRepeat(body: Outgoing["body"], { isSafe, isIdempotent }: Sending): boolean {
    if (isSafe || !isIdempotent) return false;
    return this.#isUnknown || this.#runtime.name === "deno" && body === undefined;
  }

  /**
   * Waits until an order may go out.
   *
   * @returns A promise, or `undefined` if there is nothing to wait for.
   */
  ready({ isSafe }: Sending): Promise<void> | undefined {
    return isSafe ? undefined : this.#idle?.wait();
  }

  /** Hands a request to fetch. Whoever gets the answer tells {@linkcode Transport.answered}. */
  send(outgoing: Outgoing, sending: Sending, signal: AbortSignal): Promise<Response> {
    const init = this.toInit(outgoing, sending);
    init.signal = signal;
    const { fetch: own, fetch: send = fetch } = this.#options;
    if (!own && init.body) this.#checkPermission(outgoing.url);
    return send(outgoing.url, init);
  }

  /**
   * Takes down that an answer has come.
   *
   * @param sent When its request was handed to `fetch`, or earlier (`performance.now()`).
   */
  answered(sent: number): void {
    this.#idle?.answered(sent);
  }

  /**
   * Gives a request the form in which this runtime sends it once.
   *
   * @returns The second argument of `fetch`, without the signal.
   */
  toInit({ headers, body }: Outgoing, { method, isSafe, isIdempotent }: Sending): RequestInit {
    const init: Init = { ...this.#options.fetchOptions, method, headers, redirect: "manual" };
    const { name, version } = this.#runtime;
    // Node takes half of a compressed body for all of it, so it asks for none.
    if (name === "node") init.headers = { "accept-encoding": "identity", ...headers };
    const isOldBun = name === "bun" && OLD_BUN.test(version);
    if (!isSafe && (isOldBun || method === "PUT" || method === "DELETE")) {
      init.keepalive = false; // Bun repeats such a request on a reused connection: oven-sh/bun#28708
    }
    if (body === undefined && isIdempotent && (isSafe || name !== "workerd")) return init;
    return setBody[name](init, body as Exclude<Outgoing["body"], FormData>, this.#options);
  }

  /**
   * Refuses a compressed answer whose early end nobody would see.
   *
   * @param outgoing The request. One with an `accept-encoding` of its own accepts the risk.
   * @param response The answer.
   * @throws {ReplyError} If the runtime is Node, and the answer is compressed though Node was told
   *   to ask for no compression.
   */
  checkEnd({ headers }: Outgoing, response: Response): void {
    if (this.#runtime.name !== "node" || "accept-encoding" in headers) return;
    const encoding = response.headers.get("content-encoding") ?? "identity";
    if (/^\s*identity\s*$/i.test(encoding)) return;
    const problem = "the answer is compressed, and Node does not tell whether it is whole, " +
      "wanted identity, or a call with a header accept-encoding";
    throw new ReplyError(problem, "network");
  }

  /** Asks for the permission of Deno once: a session has one origin. */
  #checkPermission(url: string): void {
    if (this.#isAllowed) return;
    const denial = netDenial(url);
    if (denial) throw denial;
    this.#isAllowed = true;
  }

  /** Whether the runtime is unknown and no `fetch` of the session's own answers for it. */
  get #isUnknown(): boolean {
    return this.#runtime.name === "unknown" && !this.#options.fetch;
  }
}

/** Sets a body that the runtime sends once, even on a connection that ends without an answer. */
const setBody: Record<
  Runtime["name"],
  (init: Init, body: string | Bytes | Blob | undefined, options: TransportOptions) => Init
> = {
  /**
   * Deno repeats any body that it can read twice (denoland/deno#35610). Deno reads a Blob once, and
   * sends its length. An empty Blob goes out chunked over HTTP/1.1.
   */
  deno(init, body = "", { fetch }) {
    init.body = body instanceof Blob || fetch ? toBlob(body) : new OnceBlob(toBytes(body));
    return init;
  },
  /**
   * Node sends a request again after a 421, as the fetch standard says, if Node can read the body
   * again: so Node gets a stream. With a content-length the stream is not chunked.
   */
  node(init, body) {
    const blob = toBlob(body);
    init.headers = { ...init.headers, "content-length": `${blob.size}` } as HeaderRecord;
    init.body = blob.stream();
    init.duplex = "half";
    return init;
  },
  bun(init, body) {
    init.body = toBlob(body);
    return init;
  },
  /** Workerd repeats a PUT or DELETE without a body, but not one with an empty stream. */
  workerd(init, body) {
    init.body = body === undefined ? new ReadableStream({ start: (c) => c.close() }) : toBlob(body);
    return init;
  },
  unknown(init, body) {
    init.body = toBlob(body);
    return init;
  },
};

function toBlob(body: string | Bytes | Blob | undefined): Blob {
  return body instanceof Blob ? body : new Blob(body === undefined ? [] : [body]);
}

function toBytes(body: string | Bytes): Bytes {
  return typeof body === "string" ? encoder.encode(body) : body;
}

/**
 * A Blob whose bytes stay in JavaScript. Deno keeps the bytes of any other Blob in Rust and must
 * fetch them from there, for 10 to 20 µs an order.
 */
class OnceBlob extends Blob {
  readonly #bytes: Bytes;

  constructor(bytes: Bytes) {
    super();
    this.#bytes = bytes;
  }

  override get size(): number {
    return this.#bytes.length;
  }

  override stream(): ReadableStream<Bytes> {
    const bytes = this.#bytes;
    return new ReadableStream({
      start(controller) {
        if (bytes.length > 0) controller.enqueue(bytes);
        controller.close();
      },
    });
  }

  override slice(start?: number, end?: number, type?: string): Blob {
    return new Blob([this.#bytes]).slice(start, end, type);
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    return this.slice().arrayBuffer();
  }

  override bytes(): Promise<Bytes> {
    return this.slice().bytes();
  }

  override text(): Promise<string> {
    return this.slice().text();
  }
}
