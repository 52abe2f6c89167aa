/**
 * The caller's side of orders: a broker that logs in, and what the caller was told.
 *
 * @module
 */

import { AbstractBroker } from "../../broker.ts";
import {
  BrokerError,
  type Charge,
  type Outcome,
  type RateLimiter,
  type ReconcileContext,
  type Reply,
  type RequestOptions,
  Session,
  type SessionOptions,
} from "../../mod.ts";
import type { Setting } from "./history.ts";
import type { Witness } from "./witness.ts";

/** A look-up of an order. */
interface Look {
  /** When it began. */
  readonly began: number;
  /** What it found, once it has ended well. */
  found?: boolean;
}

/** A call, and what the caller was told of it. */
export interface Told {
  /** The id of the order, and the tag of the call. */
  readonly id: string;
  /** What was asked for. */
  readonly what: "order" | "order over the socket" | "cancel" | "amendment" | "read" | "other";
  /** Whether the venue is asked for the fate. */
  readonly isReconciled: boolean;
  /** The `performance.now()` of the call. */
  readonly begunAt: number;
  /** The look-ups. */
  readonly looks: Look[];
  /** Whether the caller wanted to know no more. */
  isAborted: boolean;
  /** The verdict; `"error"` is any error that tells no fate. */
  verdict?: "resolved" | "error" | Outcome;
  /** The `performance.now()` of the verdict. */
  at?: number;
  /** The error, if there is one. */
  error?: BrokerError;
}

/** What a broker needs of its world. */
export interface TraderWorld {
  readonly setting: Setting;
  readonly witness: Witness;
  readonly shared: RateLimiter;
  readonly orders: RateLimiter;
  readonly fetch: typeof fetch;
  /** What was handed to `fetch`. */
  readonly wire: { readonly sent: readonly unknown[] };
  readonly baseUrl: string;
  /** Aborted at the very end, and listened to by every call. */
  readonly life: AbortSignal;
}

/** The secrets of this user. */
export const KEYS = { api: "kEy+9/zZ.api=Q7", password: "p&ss <w0rd>+7%", feed: "f33d/TOKEN+x=1" };

/** The words of a venue that does not know whether it has executed an order. */
export const DOUBT = "The session may have expired: check the order book";

/** Options that both sessions share. */
export function sessionOptions(world: TraderWorld): SessionOptions {
  const { setting: { timeout, closeTimeout, isEager }, witness, shared } = world;
  return {
    baseUrl: world.baseUrl,
    fetch: world.fetch,
    // A compressed answer is read alike on every runtime.
    headers: { "x-api-key": KEYS.api, "accept-encoding": "gzip" },
    throttlers: [shared],
    timeout,
    closeTimeout,
    retry: { maxRetries: 3, baseWait: 200, ...(isEager && { shouldRetry: () => true }) },
    onEvent: (event) => {
      witness.count(`event ${event.type}`);
      witness.show(`the event ${event.type}`, event);
    },
  };
}

/** Options of a call: the answer must be the answer to this very call. */
export function tagged<T>(tag: string): Pick<RequestOptions<T>, "headers" | "parse"> {
  return {
    headers: { "x-tag": tag },
    parse: (text) => {
      const value = JSON.parse(text);
      if (value.for !== tag) throw new Error("It is the answer to another call");
      return value;
    },
  };
}

/** A broker that logs in, places orders and finds out their fate. */
export class Trader extends AbstractBroker {
  /** Every call, in order. */
  readonly told: Told[] = [];
  /** When the login began that runs because the session wants it. */
  renewingSince = -Infinity;
  /** When logins have failed, and how many requests had been sent by then. */
  readonly failedLogins: { at: number; sent: number }[] = [];
  readonly #world: TraderWorld;
  #count = 0;

  /** Makes a broker. */
  constructor(world: TraderWorld) {
    super();
    this.#world = world;
    this.initialiseSession(sessionOptions(world));
  }

  override async authorize(): Promise<void> {
    const { token } = await this.session.post<{ token: string }>("login", {
      form: { user: "sim", password: KEYS.password },
      renew: false,
      ...tagged(`login-${++this.#count}`),
    });
    this.session.headers.set("authorization", `Bearer ${token}`);
  }

  protected override async renew(): Promise<void> {
    const { witness, setting: { isCareless } } = this.#world;
    this.renewingSince = performance.now();
    try {
      if (isCareless) {
        const error = await this.session.renew().catch((error) => error);
        // It is at once: a login that waited for itself would end as "timeout".
        if (!["invalid", "closed"].includes(error?.kind)) {
          witness.fault("a login that asks for a login is not refused");
        }
      }
      await this.authorize();
    } catch (error) {
      this.failedLogins.push({ at: performance.now(), sent: this.#world.wire.sent.length });
      throw error;
    } finally {
      this.renewingSince = -Infinity;
    }
  }

  /** Logs in before the login ends. */
  renewNow(): Promise<void> {
    return this.session.renew();
  }

  /** Places an order. */
  place(told: Told, quantity: number, signal: AbortSignal): Promise<unknown> {
    const { horizon, patience: timeout } = this.#world.setting;
    const { id } = told;
    const find = (context: ReconcileContext) => this.find(told, context);
    return this.session.post(`orders`, {
      json: { id, quantity },
      ...tagged(id),
      signal,
      throttlers: this.#charge(2),
      reconcile: told.isReconciled ? { find, horizon, timeout } : undefined,
    });
  }

  /** Cancels an order. */
  cancel(told: Told, order: string, signal: AbortSignal): Promise<unknown> {
    return this.session.delete(`orders/${order}`, {
      ...tagged(told.id),
      signal,
      urgent: true,
      throttlers: this.#charge(1),
    });
  }

  /** Amends an order, which may be done twice. */
  amend(told: Told, order: string, signal: AbortSignal): Promise<unknown> {
    return this.session.put(`orders/${order}`, {
      json: { quantity: 2 },
      ...tagged(told.id),
      signal,
      idempotent: true,
      throttlers: this.#charge(1),
    });
  }

  /** Finds the venue's own words in an answer. */
  protected override failure({ data }: Reply): BrokerError | undefined {
    const { error } = Object(data);
    if (typeof error !== "string") return undefined;
    if (error === DOUBT) {
      return new BrokerError(error, { kind: "unauthorized", outcome: "unknown" });
    }
    return new BrokerError(`The venue says: ${error}`, { kind: "rejected", outcome: "rejected" });
  }

  /** Looks an order up, everywhere. */
  async find(told: Told, { signal, error }: ReconcileContext): Promise<{ id: string } | undefined> {
    const look: Look = { began: performance.now() };
    told.looks.push(look);
    this.#world.witness.show("the error that find is given", error);
    const { orders } = await this.#look(`${told.id}-look-${told.looks.length}`, signal);
    const order = orders.find(({ id }) => id === told.id);
    look.found = order !== undefined;
    return order;
  }

  /** Reads all orders. */
  read(told: Told, signal: AbortSignal): Promise<unknown> {
    return this.#look(told.id, signal);
  }

  /** Takes down what the caller is told of a call. */
  async hear(
    told: Omit<Told, "begunAt" | "looks" | "isAborted">,
    call: (told: Told) => Promise<unknown>,
  ): Promise<void> {
    const { witness } = this.#world;
    const entry: Told = { ...told, begunAt: performance.now(), looks: [], isAborted: false };
    this.told.push(entry);
    witness.note(`${told.what} ${told.id}`);
    try {
      const value = await call(entry);
      entry.verdict = "resolved";
      if ((value as { id: string } | undefined)?.id !== told.id && told.what.startsWith("order")) {
        witness.fault(`${told.id} resolved to ${JSON.stringify(value)}`);
      }
    } catch (error) {
      witness.show(`the error of ${told.id}`, error);
      entry.verdict = "error";
      if (error instanceof BrokerError) {
        entry.verdict = error.outcome;
        entry.error = error;
      } else witness.note(`${told.id}: ${error}`);
    }
    entry.at = performance.now();
    witness.count(`${told.what}: ${entry.verdict}`);
    witness.note(`${told.id} is ${entry.verdict} ${entry.error?.message ?? ""}`);
  }

  #look(tag: string, signal: AbortSignal): Promise<{ orders: { id: string }[] }> {
    return this.session.get("orders", { ...tagged(tag), signal, cost: 2 });
  }

  #charge(cost: number): (RateLimiter | Charge)[] {
    return [this.#world.shared, { throttler: this.#world.orders, cost }];
  }
}

/** A session without a login, for market data. */
export class Data {
  /** The session. */
  readonly session: Session;
  #count = 0;

  /** Makes a session. */
  constructor(world: TraderWorld) {
    this.session = new Session(sessionOptions(world));
  }

  /** The venue's time. */
  async now(): Promise<number> {
    return (await this.session.get<{ now: number }>("time", tagged(`time-${++this.#count}`))).now;
  }

  /** The items of symbols since the venue's time. */
  async items<T>(since: number, symbols: unknown[], signal: AbortSignal): Promise<T[]> {
    const { items } = await this.session.get<{ items: T[] }>("items", {
      query: { since, symbol: symbols },
      ...tagged(`items-${++this.#count}`),
      cost: 2,
      signal,
    });
    return items;
  }
}
