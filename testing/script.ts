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
import { reply, VenueReply } from "./reply.ts";

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
  /** Path and query, as they came. */
  readonly target: string;
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
  /** Its place on that connection, from 1: above 1, the client has used the connection again. */
  readonly turn: number;
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
export type Incoming = Pick<
  VenueRequest,
  "method" | "target" | "headers" | "body" | "connection"
>;

/**
 * Answers the requests of a route: returns a text or bytes, which go out as they are, another value,
 * which becomes JSON, `undefined` for 204, or a {@linkcode reply}. A reply that is thrown is an answer
 * too.
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

/**
 * How a request ends: a fault's name, a fault with options, an answer or a handler, which take the
 * place of the route's own; see {@linkcode VenueScript.will}.
 *
 * @example An order is lost, then refused, then answered
 * ```ts
 * import { reply, SimulatedVenue, type Step } from "@aio-trader/core/testing";
 *
 * const steps: Step[] = ["reset-before-executing", reply(400, { error: "no funds" }), () => ({ id: 1 })];
 * new SimulatedVenue().will("POST /orders", ...steps);
 * ```
 */
export type Step = HttpFault | readonly [HttpFault, HttpFaultOptions] | VenueReply | Handler;

interface Plan {
  readonly route: Route;
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
  /**
   * What handlers have thrown that is no reply, those of the feed too: each such request was answered
   * with 500. And an error for each request of no route, which was answered with 501.
   */
  readonly errors: unknown[] = [];
  /** The WebSocket side of the venue. */
  readonly feed: FeedScript = new FeedScript(this.errors);
  readonly #routes: [Route, Handler][] = [];
  /** What `will` says of each route, by its name. */
  readonly #steps = new Map<string, [Route, Step[]]>();
  /** Requests so far, by connection. */
  readonly #turns = new Map<number, number>();
  #plans: Plan[] = [];
  /** Answers that wait for the next request, to be swapped with its answer. */
  readonly #swaps = new Map<object, (reply: VenueReply) => VenueReply>();

  /** The address of the venue's REST interface, with a slash at the end. */
  abstract get httpUrl(): string;
  /** The address of the venue's feed, with a slash at the end. */
  abstract get wsUrl(): string;

  /**
   * Says how requests of a route are answered. The latest handler of a route counts.
   *
   * @param route A method and a path, for example `"GET /orders/:id"`, where a name takes all
   *   between two slashes; or `"*"` for every request that no other route answers.
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
   * Says how the next requests of a route end, one after the other. The last step is repeated. What
   * was said of the route before counts no more, and without a step the route is as if nothing had
   * been said. A request that has a step meets no fault of {@linkcode VenueScript.fail}.
   *
   * @param route The route, or `"*"` for every request of which no other route says anything.
   * @param steps What happens: a fault's name, a fault with its options (`nth` and `times` do not
   *   count), an answer, or a handler.
   * @returns This venue.
   * @throws {TypeError} If a fault or the route is not known.
   *
   * @example An order is lost on its way back, the next one is refused, and all others are executed
   * ```ts
   * import { reply, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
   * import { assertEquals } from "@std/assert";
   *
   * using time = new VirtualTime();
   * const venue = new SimulatedVenue().on("POST /orders", () => ({ id: 1 }));
   * const busy = ["status", { status: 429, headers: { "retry-after": "2" } }] as const;
   * venue.will("POST /orders", "reset-after-executing", busy, reply(200, { id: 2 }));
   *
   * const ends: unknown[] = [];
   * for (let order = 1; order <= 4; order++) {
   *   venue.fetch(`${venue.httpUrl}orders`, { method: "POST" })
   *     .then(({ status }) => ends.push(status), () => ends.push("lost"));
   *   await time.pass(1_000);
   * }
   * assertEquals(ends, ["lost", 429, 200, 200]);
   * ```
   */
  will(route: string, ...steps: Step[]): this {
    for (const step of steps) {
      if (typeof step === "string") known(step);
      else if (Array.isArray(step)) known(step[0]);
    }
    this.#steps.delete(route);
    if (steps.length > 0) this.#steps.set(route, [new Route(route), steps]);
    return this;
  }

  /**
   * Plans a fault. Of several plans for one request, the earliest strikes. Those that would strike it
   * too wait for the next request.
   *
   * @param route The route, or `"*"` for every request.
   * @param fault What happens.
   * @param options When it strikes, and how.
   * @returns This venue.
   * @throws {TypeError} If the fault or the route is not known.
   */
  fail(route: string, fault: HttpFault, options: HttpFaultOptions = {}): this {
    known(fault);
    this.#plans.push({ route: new Route(route), fault, options, strikes: new Strikes(options) });
    return this;
  }

  /** Plans no fault and no step any more: those of requests and those of frames. */
  heal(): void {
    this.#plans = [];
    this.#steps.clear();
    this.feed.heal();
  }

  /**
   * Executes a request as the script says. For stages.
   *
   * @param incoming The request.
   * @param wait Waits so many milliseconds.
   * @returns How the exchange goes on.
   */
  protected async play(incoming: Incoming, wait: (ms: number) => Promise<void>): Promise<Turn> {
    const url = new URL(incoming.target, "http://venue");
    const { method, headers, body, connection, target } = incoming;
    const matches = (route: Route) => route.match(method, url.pathname) !== undefined;
    const found = mostExact(this.#routes.filter(([route]) => matches(route)));
    const turn = (this.#turns.get(connection) ?? 0) + 1;
    this.#turns.set(connection, turn);
    const request: VenueRequest = {
      method,
      target,
      path: url.pathname,
      params: found?.[0].match(method, url.pathname) ?? {},
      query: url.searchParams,
      headers,
      body,
      connection,
      turn,
      at: Date.now(),
      json: () => JSON.parse(body),
      form: () => new URLSearchParams(body),
    };
    this.requests.push(request);
    let plan: Plan | undefined;
    for (const one of this.#plans) {
      if (matches(one.route) && one.strikes.next(!plan)) plan = one;
    }
    const [, steps = []] = mostExact([...this.#steps.values()].filter(([it]) => matches(it))) ?? [];
    const step = steps.length > 1 ? steps.shift() : steps[0];
    const own = found?.[1] ?? (() => this.#miss(request));
    if (step instanceof VenueReply) return await this.#play(request, () => step, undefined, wait);
    if (typeof step === "function") return await this.#play(request, step, undefined, wait);
    if (!step) return await this.#play(request, own, plan, wait);
    const [fault, options] = typeof step === "string" ? [step, {}] : step;
    return await this.#play(request, own, { fault, options }, wait);
  }

  /** Answers a request of no route as no venue does: a 404 could be taken for "no such order". */
  #miss({ method, path }: VenueRequest): VenueReply {
    this.errors.push(new Error(`Cannot answer ${method} ${path}: there is no route for it`));
    return reply(501, { error: "no such route" });
  }

  async #play(
    request: VenueRequest,
    handler: Handler,
    plan: Pick<Plan, "fault" | "options"> | undefined,
    wait: (ms: number) => Promise<void>,
  ): Promise<Turn> {
    const { fault, options = {} } = plan ?? {};
    const { delay = 1_000 } = options;
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
    answer = given(fault, options) ?? answer;
    answer = await this.#swap(answer, fault === "swapped-answers" ? plan : undefined);
    const isRaw = ends === "answer" && answer.status === 0;
    return { ends: isRaw ? "raw" : ends, reply: answer, isUnasked: fault === "unasked-answer" };
  }

  /** Gives the answer to the request before, which waits for it, and takes that one's. */
  #swap(answer: VenueReply, plan: object | undefined): VenueReply | Promise<VenueReply> {
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

/** The answer that a fault's options give, in place of the handler's. */
function given(fault: HttpFault | undefined, options: HttpFaultOptions): VenueReply | undefined {
  const { status, headers, body } = options;
  const isStatus = fault === "status" || fault === "status-after-executing";
  if (!isStatus && status === undefined && headers === undefined && body === undefined) return;
  return reply(status ?? (isStatus ? 503 : 200), body, headers);
}

function known(fault: HttpFault): void {
  if (Object.hasOwn(HTTP_FAULTS, fault)) return;
  const names = Object.keys(HTTP_FAULTS).join(", ");
  throw new TypeError(`Cannot plan a fault: it is ${String(fault)}, wanted one of ${names}`);
}

/** The first entry of a route by name, or else of the route "*". */
function mostExact<T extends [Route, unknown]>(entries: T[]): T | undefined {
  return entries.find(([{ isAny }]) => !isAny) ?? entries[0];
}

/** A method and a path with names in it, or "*" for any. */
class Route {
  readonly isAny: boolean;
  readonly #method: string;
  readonly #parts: string[];

  constructor(route: string) {
    const [, method, path] = /^([A-Z]+) (\/\S*)$/.exec(route) ?? [];
    this.isAny = route === "*";
    if (!method && !this.isAny) {
      throw new TypeError(`Cannot use the route: it is ${route}, wanted one like "POST /orders"`);
    }
    this.#method = method;
    this.#parts = path?.split("/") ?? [];
    if (this.#parts.some((part) => part.lastIndexOf(":") > 0)) {
      throw new TypeError(`Cannot use the route: it is ${route}, wanted a ":" after a "/" only`);
    }
  }

  /** The named parts of the path, or `undefined` if the request is for another route. */
  match(method: string, path: string): Record<string, string> | undefined {
    if (this.isAny) return {};
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
