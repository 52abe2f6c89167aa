/**
 * The script of a venue: routes, faults and logs, whatever the stage.
 *
 * @module
 */

import {
  type Ending,
  HTTP_FAULTS,
  type HttpFault,
  type HttpFaultOptions,
  Strikes,
} from "./faults.ts";
import { FeedScript } from "./feed_script.ts";

/**
 * A request as the venue sees it.
 *
 * @example A handler that checks what was sent
 * ```ts
 * import { reply, SimulatedVenue, type VenueRequest, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * venue.on("GET /orders/:id", ({ params, headers }: VenueRequest) =>
 *   headers.has("x-api-key") ? { id: params.id } : reply(401));
 *
 * const answer = venue.fetch(`${venue.httpUrl}orders/7`, { headers: { "x-api-key": "key" } });
 * await time.pass(1_000);
 * assertEquals(await (await answer).json(), { id: "7" });
 * ```
 */
export interface VenueRequest {
  /** The method, in upper case. */
  readonly method: string;
  /** The path, without the query. */
  readonly path: string;
  /** The parts of the path that the route names, as `id` in `"GET /orders/:id"`. */
  readonly params: Record<string, string>;
  /** The query. */
  readonly query: URLSearchParams;
  /** The headers. */
  readonly headers: Headers;
  /** The body, as text; empty without one. */
  readonly body: string;
  /** Number of the connection that brought it, from 1. */
  readonly connection: number;
  /** When it came, in epoch milliseconds. */
  readonly at: number;
  /**
   * Reads the body as JSON.
   *
   * @returns The value.
   */
  // deno-lint-ignore no-explicit-any -- a test says what it expects
  json(): any;
  /** Reads the body as a form. */
  form(): URLSearchParams;
}

/**
 * A request that a stage has received.
 *
 * @example A request that a stage has read
 * ```ts
 * import { type Incoming, VenueScript } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * class Stage extends VenueScript {
 *   override readonly httpUrl = "http://stage/";
 *   override readonly wsUrl = "ws://stage/";
 *   get(target: string) {
 *     const incoming: Incoming = { method: "GET", target, headers: new Headers(), body: "", connection: 1 };
 *     return this.play(incoming, async () => {});
 *   }
 * }
 *
 * const stage = new Stage();
 * await stage.get("/time?now");
 * assertEquals(stage.requests[0].query.has("now"), true);
 * ```
 */
export type Incoming = Pick<VenueRequest, "method" | "headers" | "body" | "connection"> & {
  /** Path and query. */
  readonly target: string;
};

/**
 * An answer with a status and headers; see {@linkcode reply}.
 *
 * @example An answer that is shared by two routes
 * ```ts
 * import { reply, SimulatedVenue, type VenueReply } from "@aio-trader/core/testing";
 *
 * const down: VenueReply = reply(503, "back at six", { "retry-after": "60" });
 * new SimulatedVenue().on("GET /quote", () => down).on("POST /orders", () => down);
 * ```
 */
export class VenueReply {
  /** The status. */
  readonly status: number;
  /** The headers. */
  readonly headers: Record<string, string>;
  /** The body. */
  readonly body: string | Uint8Array;

  /** Makes an answer; {@linkcode reply} is shorter. */
  constructor(status: number, headers: Record<string, string>, body: string | Uint8Array) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/**
 * Makes an answer of a handler that is more than a value in JSON.
 *
 * @param status The status.
 * @param body A text or bytes as they are, any other value as JSON, or nothing.
 * @param headers Headers; `content-type` says `application/json` for JSON.
 * @returns The answer, to be returned or thrown by a handler.
 *
 * @example A refusal in JSON
 * ```ts
 * import { reply, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * venue.on("POST /orders", () => reply(400, { error: "no funds" }));
 * const answer = venue.fetch(`${venue.httpUrl}orders`, { method: "POST" });
 * await time.pass(1_000);
 * assertEquals((await answer).status, 400);
 * ```
 */
export function reply(
  status: number,
  body?: unknown,
  headers: Record<string, string> = {},
): VenueReply {
  if (body === undefined) return new VenueReply(status, headers, "");
  if (typeof body === "string" || body instanceof Uint8Array) {
    return new VenueReply(status, headers, body);
  }
  const type = { "content-type": "application/json" };
  return new VenueReply(status, { ...type, ...headers }, JSON.stringify(body));
}

/**
 * Answers the requests of a route: returns a value, which becomes JSON, `undefined` for 204, or a
 * {@linkcode reply}. A reply that is thrown is an answer too.
 *
 * @example A book of orders
 * ```ts
 * import { type Handler, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * const orders: unknown[] = [];
 * const place: Handler = (request) => ({ id: orders.push(request.json()) });
 * venue.on("POST /orders", place);
 * void venue.fetch(`${venue.httpUrl}orders`, { method: "POST", body: '{"symbol":"INFY"}' });
 * await time.pass(1_000);
 * assertEquals(orders, [{ symbol: "INFY" }]);
 * ```
 */
export type Handler = (request: VenueRequest) => unknown;

/**
 * How an exchange goes on: what a stage must do.
 *
 * @example What a stage must do
 * ```ts
 * import { type Turn, VenueScript } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * class Stage extends VenueScript {
 *   override readonly httpUrl = "http://stage/";
 *   override readonly wsUrl = "ws://stage/";
 *   get(target: string): Promise<Turn> {
 *     const incoming = { method: "GET", target, headers: new Headers(), body: "", connection: 1 };
 *     return this.play(incoming, async () => {});
 *   }
 * }
 *
 * const stage = new Stage().on("GET /time", { time: 1 }).fail("GET /time", "reset-after-executing");
 * assertEquals((await stage.get("/time")).ends, "reset");
 * ```
 */
export interface Turn {
  /** How it ends. */
  readonly ends: Ending;
  /** The answer, or the one that is cut short. */
  readonly reply: VenueReply;
  /** Whether the venue writes another answer, unasked, once the connection is idle. */
  readonly isUnasked: boolean;
}

interface Plan {
  readonly route: Route | undefined;
  readonly fault: HttpFault;
  readonly options: HttpFaultOptions;
  readonly strikes: Strikes;
}

/**
 * What a venue does, on either stage: the routes and their faults, the feed and its faults, and the
 * logs of both. {@linkcode LoopbackVenue} and {@linkcode SimulatedVenue} play it.
 *
 * @example A stage of your own
 * ```ts
 * import { VenueScript } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * class Stage extends VenueScript {
 *   override readonly httpUrl = "http://stage/";
 *   override readonly wsUrl = "ws://stage/";
 *   get(target: string) {
 *     const incoming = { method: "GET", target, headers: new Headers(), body: "", connection: 1 };
 *     return this.play(incoming, async () => {});
 *   }
 * }
 *
 * const stage = new Stage().on("GET /time", { time: 1 });
 * assertEquals((await stage.get("/time")).reply.body, '{"time":1}');
 * ```
 */
export abstract class VenueScript {
  /** Every request that has arrived, in order. */
  readonly requests: VenueRequest[] = [];
  /** Every request whose handler has run, in order: one that was executed twice stands twice. */
  readonly executed: VenueRequest[] = [];
  /** What handlers have thrown that is no reply: each was answered with 500. */
  readonly errors: unknown[] = [];
  /** The WebSocket side of the venue. */
  readonly feed: FeedScript = new FeedScript();
  readonly #routes: [Route, Handler][] = [];
  #plans: Plan[] = [];
  /** Answers that wait for the next request, to be swapped with its answer. */
  readonly #swaps = new Map<Plan, (reply: VenueReply) => VenueReply>();

  /** The address of the venue's REST interface, with a slash at the end. */
  abstract get httpUrl(): string;
  /** The address of the venue's feed, with a slash at the end. */
  abstract get wsUrl(): string;

  /**
   * Says how requests of a route are answered. The latest handler of a route counts.
   *
   * @param route A method and a path, for example `"GET /orders/:id"`.
   * @param handler Answers a request, or the value that answers all of them.
   * @returns This venue.
   * @throws {TypeError} If the route is no method and path.
   */
  on(route: string, handler: Handler | object): this {
    const answer = typeof handler === "function" ? handler as Handler : () => handler;
    this.#routes.unshift([new Route(route), answer]);
    return this;
  }

  /**
   * Plans a fault. Of several plans for one request, the earliest that strikes counts.
   *
   * @param route The route, or `"*"` for every request.
   * @param fault What happens.
   * @param options When it strikes, and how.
   * @returns This venue.
   * @throws {TypeError} If the fault or the route is not known.
   */
  fail(route: string, fault: HttpFault, options: HttpFaultOptions = {}): this {
    if (!Object.hasOwn(HTTP_FAULTS, fault)) {
      const names = Object.keys(HTTP_FAULTS).join(", ");
      throw new TypeError(`Cannot plan a fault: it is ${String(fault)}, wanted one of ${names}`);
    }
    const where = route === "*" ? undefined : new Route(route);
    this.#plans.push({ route: where, fault, options, strikes: new Strikes(options) });
    return this;
  }

  /** Plans no fault any more: those of requests and those of frames. */
  heal(): void {
    this.#plans = [];
    this.feed.heal();
  }

  /**
   * Executes a request as the script says. For stages.
   *
   * @param incoming The request.
   * @param wait Waits so many milliseconds.
   * @param isDelayed Called with `true` if the handler ran later than the request came.
   * @returns How the exchange goes on.
   */
  protected async play(incoming: Incoming, wait: (ms: number) => Promise<void>): Promise<Turn> {
    const url = new URL(incoming.target, "http://venue");
    const { method, headers, body, connection } = incoming;
    const found = this.#routes.find(([route]) => route.match(method, url.pathname));
    const request: VenueRequest = {
      method,
      path: url.pathname,
      params: found?.[0].match(method, url.pathname) ?? {},
      query: url.searchParams,
      headers,
      body,
      connection,
      at: Date.now(),
      json: () => JSON.parse(body),
      form: () => new URLSearchParams(body),
    };
    this.requests.push(request);
    // Every plan of the route counts this request, though only the first strikes.
    const plan =
      this.#plans.filter(({ route, strikes }) =>
        (!route || route.match(method, url.pathname)) && strikes.next()
      )[0];
    const handler = found?.[1] ?? (() => reply(404, { error: "no such route" }));
    return await this.#play(request, handler, plan, wait);
  }

  async #play(
    request: VenueRequest,
    handler: Handler,
    plan: Plan | undefined,
    wait: (ms: number) => Promise<void>,
  ): Promise<Turn> {
    const { fault, options = {} } = plan ?? {};
    const { delay = 1_000, status = 503, headers, body } = options;
    const { executes, ends }: { executes: number; ends: Ending } = fault
      ? HTTP_FAULTS[fault]
      : { executes: 1, ends: "answer" };
    let answer = reply(200);
    const execute = async () => {
      for (let times = 0; times < executes; times++) answer = await this.#execute(request, handler);
    };
    if (fault === "reset-and-execute-late" || fault === "hang-and-execute-late") {
      void wait(delay).then(execute);
    } else {
      if (fault === "late-execution") await wait(delay);
      await execute();
      if (fault === "late-answer") await wait(delay);
    }
    if (fault?.startsWith("status")) answer = reply(status, body, headers);
    answer = await this.#swap(answer, fault === "swapped-answers" ? plan : undefined);
    return { ends, reply: answer, isUnasked: fault === "unasked-answer" };
  }

  /** Gives the answer to the request before, which waits for it, and takes that one's. */
  #swap(answer: VenueReply, plan: Plan | undefined): VenueReply | Promise<VenueReply> {
    if (plan) {
      return new Promise((resolve) => {
        this.#swaps.set(plan, (other) => {
          resolve(other);
          return answer;
        });
      });
    }
    const [waiting] = this.#swaps;
    if (!waiting) return answer;
    this.#swaps.delete(waiting[0]);
    return waiting[1](answer);
  }

  async #execute(request: VenueRequest, handler: Handler): Promise<VenueReply> {
    this.executed.push(request);
    try {
      const value = await handler(request);
      if (value instanceof VenueReply) return value;
      return value === undefined ? reply(204) : reply(200, value);
    } catch (error) {
      if (error instanceof VenueReply) return error;
      this.errors.push(error);
      return reply(500, { error: "the handler threw" });
    }
  }
}

/** A method and a path with names in it. */
class Route {
  readonly #method: string;
  readonly #parts: string[];

  constructor(route: string) {
    const [, method, path] = /^([A-Z]+) (\/\S*)$/.exec(route) ?? [];
    if (!method) {
      throw new TypeError(`Cannot use the route: it is ${route}, wanted one like "POST /orders"`);
    }
    this.#method = method;
    this.#parts = path.split("/");
  }

  /** The named parts of the path, or `undefined` if the request is for another route. */
  match(method: string, path: string): Record<string, string> | undefined {
    const parts = path.split("/");
    if (method !== this.#method || parts.length !== this.#parts.length) return undefined;
    const params: Record<string, string> = {};
    for (const [i, part] of this.#parts.entries()) {
      if (part.startsWith(":")) params[part.slice(1)] = decodeURIComponent(parts[i]);
      else if (part !== parts[i]) return undefined;
    }
    return params;
  }
}
