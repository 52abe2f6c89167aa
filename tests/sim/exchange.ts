/**
 * The venue of the simulation: it executes, remembers and tells, and never decides what went wrong.
 *
 * @module
 */

import { reply, SimulatedVenue, type VenueRequest } from "../../testing.ts";

/** An order in the book of the venue. */
export interface Order {
  name: string;
  /** How often the venue has executed an order of this name. */
  executions: number;
}

/** An item of a feed. */
export interface Item {
  seq: number;
  symbol: string;
  /** When the venue made it, in epoch milliseconds. */
  at: number;
}

/** What a login must send. It stands in no event and no error. */
export const SECRET = "pa55word-of-the-simulation";

/** Routes that faults may strike, by the name of their part in a history. */
export const ROUTES = {
  order: "POST /orders",
  cancel: "DELETE /orders/:name",
  look: "GET /orders",
  quote: "GET /quotes/:symbol",
  login: "POST /login",
  items: "GET /items",
} as const;

/** The venue, its book, its log of items, and the logins that it accepts. */
export class Exchange {
  readonly venue: SimulatedVenue;
  readonly book = new Map<string, Order>();
  readonly items: Item[] = [];
  /** Names of orders that arrived, over REST or a socket, with a login that was good or not. */
  readonly arrived = new Set<string>();
  /** Names of orders that were refused with a 401. */
  readonly refused = new Set<string>();
  /** Tokens that are accepted. */
  readonly #tokens = new Set<string>();
  #logins = 0;

  constructor(seed: number) {
    this.venue = new SimulatedVenue({ seed, latency: [1, 40] });
    this.#answer();
    this.venue.feed.on((frame, client) => {
      const { op, id, symbols = [], name } = JSON.parse(String(frame));
      if (op === "ping") client.send({ op: "pong" });
      if (op === "subscribe") {
        for (const symbol of symbols) client.held.add(symbol);
        client.send({ op: "granted", symbols });
      }
      if (op === "unsubscribe") { for (const symbol of symbols) client.held.delete(symbol); }
      if (op === "order") {
        this.arrived.add(name);
        client.send({ op: "answer", id, order: this.#execute(name) });
      }
    });
  }

  /** Accepts no token any more. */
  expire(): void {
    this.#tokens.clear();
  }

  /** The token that was handed out last. */
  get token(): string {
    return `token-${this.#logins}-of-the-simulation`;
  }

  /** Makes an item, and publishes it. */
  make(symbol: string): void {
    const item = { seq: this.items.length + 1, symbol, at: Date.now() };
    this.items.push(item);
    this.venue.feed.publish(symbol, { op: "item", item });
  }

  #answer(): void {
    const { venue } = this;
    venue.on(ROUTES.login, (request) => {
      if (request.json().secret !== SECRET) return reply(401, { error: "wrong secret" });
      this.#logins++;
      this.#tokens.add(this.token);
      return { token: this.token };
    });
    venue.on(ROUTES.order, (request) => {
      const { name } = request.json();
      this.arrived.add(name);
      if (!this.#isGood(request)) this.refused.add(name);
      return this.#guarded(request, () => this.#execute(name));
    });
    venue.on(ROUTES.cancel, (request) => this.#guarded(request, () => ({ cancelled: true })));
    venue.on(ROUTES.look, (request) => this.#guarded(request, () => [...this.book.values()]));
    venue.on(ROUTES.quote, () => ({ last: 1 }));
    venue.on(ROUTES.items, ({ query }) => {
      const after = Number(query.get("after"));
      const symbols = new Set(query.get("symbols")!.split(","));
      return this.items.filter(({ seq, symbol }) => seq > after && symbols.has(symbol));
    });
  }

  #guarded(request: VenueRequest, answer: () => object): object {
    // A venue that repeats the key in its answer: nothing of it may be shown.
    const { headers } = request;
    if (!this.#isGood(request)) return reply(401, { error: `no: ${headers.get("authorization")}` });
    return answer();
  }

  #isGood({ headers }: VenueRequest): boolean {
    return this.#tokens.has(headers.get("authorization")?.split(" ")[1] ?? "");
  }

  #execute(name: string): Order {
    const order = this.book.get(name) ?? { name, executions: 0 };
    order.executions++;
    this.book.set(name, order);
    return order;
  }
}
