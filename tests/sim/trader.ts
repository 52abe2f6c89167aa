/**
 * The client side of the simulation: a broker and feeds, as a user of the module writes them.
 *
 * @module
 */

import { AbstractBroker, type FeedConnection, reconcile, WebSocketFeeder } from "../../mod.ts";
import type { Gap, RequestOptions, SessionOptions } from "../../mod.ts";
import { type Exchange, type Item, type Order, SECRET } from "./exchange.ts";

type Options = Pick<SessionOptions, "throttlers" | "onEvent">;

/** How an order of unknown fate is looked for. A venue takes an order up 8 s late at most. */
const LOOK = { horizon: 10_000, timeout: 60_000 };

/** How long a broker that closes lets its orders come to an end, in milliseconds. */
export const CLOSE_TIMEOUT = 20_000;

/** A broker that logs in with a secret, and again whenever its token has died. */
export class Broker extends AbstractBroker {
  constructor({ venue }: Exchange, options: Options) {
    super();
    this.initialiseSession({
      baseUrl: venue.httpUrl,
      fetch: venue.fetch,
      timeout: 5_000,
      closeTimeout: CLOSE_TIMEOUT,
      // A user who wants everything repeated: an order is not, all the same.
      retry: { maxRetries: 4, maxWait: 10_000, shouldRetry: () => true },
      ...options,
    });
  }
  override async authorize(): Promise<void> {
    const json = { secret: SECRET };
    const options = { json, renew: false, idempotent: true };
    const { token } = await this.session.post<{ token: string }>("login", options);
    this.session.headers.set("authorization", `Bearer ${token}`);
  }
  protected override renew(): Promise<void> {
    return this.authorize();
  }
  logIn(): Promise<void> {
    return this.session.renew();
  }
  place(name: string, signal: AbortSignal): Promise<Order> {
    const find = ({ signal }: { signal: AbortSignal }) => this.find(name, { signal });
    return this.session.post("orders", { json: { name }, signal, reconcile: { find, ...LOOK } });
  }
  async find(name: string, options: RequestOptions<Order[]>): Promise<Order | undefined> {
    const orders = await this.session.get<Order[]>("orders", options);
    return orders.find((order) => order.name === name);
  }
  cancel(name: string): Promise<unknown> {
    return this.session.delete(`orders/${name}`, { urgent: true });
  }
  quote(symbol: string): Promise<unknown> {
    return this.session.get(`quotes/${symbol}`);
  }
  items(after: number, symbols: string[], signal: AbortSignal): Promise<Item[]> {
    return this.session.get("items", { query: { after, symbols: symbols.join() }, signal });
  }
}

/** A feed that confirms, fills its gaps by the numbers of items, and places orders. */
export class Feed extends WebSocketFeeder<Item> {
  readonly #exchange: Exchange;
  readonly #broker: Broker;
  /** The number of the latest item of each symbol. */
  readonly #latest = new Map<string, number>();

  constructor(exchange: Exchange, broker: Broker) {
    super({
      pingInterval: 5_000,
      staleAfter: 12_000,
      confirmTimeout: 3_000,
      connectTimeout: 8_000,
      maxLifetime: 120_000,
      backfillTimeout: 20_000,
    });
    this.#exchange = exchange;
    this.#broker = broker;
    this.on("item", ({ symbol, seq }) => this.#latest.set(symbol, seq));
  }
  protected override endpoint(): string {
    return this.#exchange.venue.wsUrl;
  }
  protected override createSocket(url: string): WebSocket {
    return this.#exchange.venue.createSocket(url);
  }
  protected override request(op: "subscribe" | "unsubscribe", symbols: string[]): string {
    return JSON.stringify({ op, symbols });
  }
  protected override ping(): string {
    return '{"op":"ping"}';
  }
  protected override receive(data: string | ArrayBuffer, connection: FeedConnection): void {
    const { op, symbols, item, id, order } = JSON.parse(String(data));
    if (op === "granted") this.confirm(...symbols);
    else if (op === "item") this.emit(item);
    else if (op === "answer") connection.answer(id, order);
  }
  protected override identify({ seq }: Item): number {
    return seq;
  }
  protected override backfill(_gap: Gap, signal: AbortSignal): Promise<Item[]> {
    const symbols = [...this.subscriptions.values()];
    const after = Math.min(...symbols.map((symbol) => this.#latest.get(symbol) ?? 0));
    return this.#broker.items(after, symbols, signal);
  }
  /** Places an order over the socket; looks for it by REST where no answer comes. */
  place(name: string, signal: AbortSignal): Promise<Order> {
    const frame = JSON.stringify({ op: "order", id: name, name });
    return reconcile(() => this.ask<Order>(name, frame, { timeout: 5_000, signal }), {
      find: ({ signal }) => this.#broker.find(name, { signal }),
      signal,
      ...LOOK,
    });
  }
}
