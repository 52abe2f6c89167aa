/**
 * A venue in memory, in virtual time.
 *
 * @module
 */

import { randomOf } from "./random.ts";
import {
  fetchError,
  type FetchFailure,
  type Repeatable,
  repeats,
  type SimulatedRuntime,
} from "./runtimes.ts";
import { reply } from "./reply.ts";
import { type Turn, VenueScript } from "./script.ts";
import { SimulatedSocket } from "./simulated_socket.ts";

/**
 * Options of {@linkcode SimulatedVenue}.
 *
 * @example A slow network that behaves as Bun does
 * ```ts
 * import { SimulatedVenue, type SimulatedVenueOptions, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const options: SimulatedVenueOptions = { runtime: "bun", latency: [500, 500], seed: 7 };
 * const venue = new SimulatedVenue(options).on("GET /time", { time: 1 });
 *
 * let isThere = false;
 * void venue.fetch(`${venue.httpUrl}time`).then(() => isThere = true);
 * await time.pass(900);
 * assertEquals(isThere, false);
 * await time.pass(200);
 * assertEquals(isThere, true);
 * ```
 */
export interface SimulatedVenueOptions {
  /**
   * The runtime whose habits the network has: what it repeats unasked, how its failures look.
   *
   * @default {"deno"}
   */
  runtime?: SimulatedRuntime | undefined;
  /**
   * Where the random numbers start: the same seed gives the same delays.
   *
   * @default {1}
   */
  seed?: number | undefined;
  /**
   * Shortest and longest time of each way between client and venue, in milliseconds.
   *
   * @default {[1, 20]}
   */
  latency?: readonly [least: number, most: number] | undefined;
}

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * A venue for tests without a network: `fetch` and `createSocket` reach it, in virtual time if a
 * {@linkcode VirtualTime} has the clock. The script is that of a {@linkcode LoopbackVenue}.
 *
 * It behaves as the chosen runtime does, which repeats requests and tells failures in its own way.
 * Random delays come from a seed, so the same seed gives the same history.
 *
 * @example An order of unknown fate, looked up until the fate is known
 * ```ts
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { Session } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * const orders = new Map<string, { id: string }>();
 * venue.on("POST /orders", (request) => orders.set(request.json().id, request.json()));
 * venue.on("GET /orders", () => [...orders.values()]);
 * venue.fail("POST /orders", "reset-after-executing");
 *
 * const session = new Session({ baseUrl: venue.httpUrl, fetch: venue.fetch });
 * const find = async ({ signal }: { signal: AbortSignal }) => {
 *   const all = await session.get<{ id: string }[]>("orders", { signal });
 *   return all.find(({ id }) => id === "my-1");
 * };
 * const order = session.post("orders", { json: { id: "my-1" }, reconcile: { find } });
 * await time.pass(60_000);
 *
 * assertEquals(await order, { id: "my-1" });
 * assertEquals(venue.executed.filter(({ method }) => method === "POST").length, 1);
 * await session.close();
 * ```
 */
export class SimulatedVenue extends VenueScript {
  readonly #runtime: SimulatedRuntime;
  readonly #random: () => number;
  readonly #latency: readonly [number, number];
  #connections = 0;
  /** Whether a connection lies idle that the next request uses again. */
  #isWarm = false;
  /** An answer that lies on the idle connection. */
  #unasked: Turn | undefined;
  #isDown = false;

  /**
   * Makes a venue.
   *
   * @param options The runtime, the seed and the delays.
   */
  constructor(
    { runtime = "deno", seed = 1, latency = [1, 20] }: SimulatedVenueOptions = {},
  ) {
    super();
    this.#runtime = runtime;
    this.#random = randomOf(seed);
    this.#latency = latency;
  }

  /** The address of the venue's REST interface, with a slash at the end. */
  get httpUrl(): string {
    return "http://venue.example/";
  }

  /** The address of the venue's feed, with a slash at the end. */
  get wsUrl(): string {
    return "ws://venue.example/";
  }

  /** Refuses connections, and resets those that are open. */
  down(): void {
    this.#isDown = true;
    this.feed.reset();
  }

  /** Accepts connections again. */
  up(): void {
    this.#isDown = false;
  }

  /** Takes the place of `fetch`: the option `fetch` of a session. */
  readonly fetch: typeof fetch = (input, init: RequestInit = {}) => {
    const { signal } = init;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const abort = () => reject(signal!.reason);
    if (signal?.aborted) abort();
    else {
      signal?.addEventListener("abort", abort);
      this.#exchange(String(input instanceof Request ? input.url : input), init).then(
        resolve,
        reject,
      )
        .finally(() => signal?.removeEventListener("abort", abort));
    }
    return promise;
  };

  /** Takes the place of `new WebSocket`: for the hook `createSocket` of a feed. */
  readonly createSocket: (url: string, init?: { headers?: Record<string, string> }) => WebSocket = (
    url,
    init,
  ) => {
    const travel = () => wait(this.#delay());
    const { pathname, search } = new URL(url);
    const venue = { feed: this.feed, runtime: this.#runtime, travel, isDown: () => this.#isDown };
    return new SimulatedSocket(url, `${pathname}${search}`, new Headers(init?.headers), venue);
  };

  async #exchange(url: string, init: RequestInit): Promise<Response> {
    const { method = "GET", keepalive = true, body } = init;
    const { pathname, search, host } = new URL(url);
    // Drawn before anything is awaited: runtimes take their turns in different orders.
    const [there, back] = [this.#delay(), this.#delay()];
    const text = body ? await new Response(body).text() : "";
    await wait(there);
    if (this.#isDown) throw fetchError(this.#runtime, "refused");
    const early = this.#unasked;
    this.#unasked = undefined;
    const isWarm = this.#isWarm;
    if (!isWarm) this.#connections++;
    const headers = new Headers(init.headers);
    headers.set("host", host);
    const incoming = {
      method,
      target: `${pathname}${search}`,
      headers,
      body: text,
      connection: this.#connections,
    };
    const turn = this.play(incoming, wait);
    if (early) return await this.#end(early, init, back); // an answer that lay there
    return await this.#settle(
      await turn,
      { method, body, keepalive },
      isWarm,
      () => this.play(incoming, wait),
      init,
      back,
    );
  }

  /** Lets the runtime repeat the request if it would, then hands its end on. */
  async #settle(
    turn: Turn,
    request: Repeatable,
    isWarm: boolean,
    again: () => Promise<Turn>,
    init: RequestInit,
    back: number,
  ): Promise<Response> {
    const isClosed = turn.ends === "reset" || turn.ends === "finish";
    if (isClosed && isWarm && repeats(this.#runtime, request, "closed")) turn = await again();
    if (
      turn.reply.status === 421 && turn.ends === "answer" && repeats(this.#runtime, request, 421)
    ) {
      turn = await again();
    }
    this.#isWarm = turn.ends === "answer" || turn.ends === "half-gzip";
    if (turn.isUnasked) {
      this.#unasked = { ends: "answer", reply: reply(400, { error: "unasked" }), isUnasked: false };
    }
    return await this.#end(turn, init, back);
  }

  async #end(
    { ends, reply: answer }: Turn,
    { signal, method }: RequestInit,
    back: number,
  ): Promise<Response> {
    const fail = (failure: FetchFailure) => fetchError(this.#runtime, failure);
    if (ends === "hang") return await new Promise(() => {});
    await wait(back);
    if (ends === "reset" || ends === "finish" || ends === "half-head") throw fail("closed");
    if (ends === "garbage" || ends === "raw") throw fail("garbage");
    const { status } = answer;
    const bytes = typeof answer.body === "string"
      ? new TextEncoder().encode(answer.body)
      : answer.body as Bytes;
    const headers = new Headers(answer.headers);
    if (status === 204 || status === 304 || method === "HEAD") {
      return new Response(null, { status, headers });
    }
    if (ends === "answer") {
      headers.set("content-length", String(bytes.length));
      return new Response(bytes, { status, headers });
    }
    if (ends === "cut-body") headers.set("content-length", String(bytes.length + 100));
    if (ends === "half-gzip") headers.set("content-encoding", "gzip");
    const half = ends === "half-gzip" ? bytes.slice(0, bytes.length >> 1) : bytes;
    // Node takes half of a compressed body for all of it.
    const isQuiet = ends === "half-gzip" && this.#runtime === "node";
    const ending = ends === "stall-body" ? undefined : isQuiet ? "end" : fail("body");
    return new Response(partOf(half, ending, signal), { status, headers });
  }

  /** Draws how long the next way to the venue, or back, takes, in milliseconds. */
  #delay(): number {
    const [least, most] = this.#latency;
    return least + this.#random() * (most - least);
  }
}

function wait(delay: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delay));
}

/** A body that ends early: with an error, in order, or never. An abort ends it in any case. */
function partOf(
  bytes: Bytes,
  ending: TypeError | "end" | undefined,
  signal: AbortSignal | null | undefined,
): ReadableStream<Bytes> {
  let isSent = false;
  return new ReadableStream({
    start(controller) {
      const abort = () => controller.error(signal!.reason);
      if (signal?.aborted) abort();
      else signal?.addEventListener("abort", abort);
    },
    pull(controller) {
      if (!isSent && bytes.length > 0) {
        isSent = true;
        controller.enqueue(bytes);
      } else if (ending === "end") controller.close();
      else if (ending) controller.error(ending);
      else return new Promise(() => {}); // the body stalls
    },
  }, { highWaterMark: 0 });
}
