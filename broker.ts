/**
 * What every broker's client is built on: a login, a session, and their end.
 *
 * @module
 */

import { type BrokerError, type Reply, Session, type SessionOptions } from "./session.ts";

/**
 * A client of a broker or an exchange. A subclass says in its constructor where the venue is, and how to log in.
 *
 * @example Usage
 * ```ts
 * import { AbstractBroker } from "@aio-trader/core/broker";
 * import { assertEquals } from "@std/assert";
 *
 * class Kite extends AbstractBroker<{ token: string }> {
 *   constructor() {
 *     super();
 *     this.initialiseSession({
 *       baseUrl: "https://api.kite.trade",
 *       fetch: () => Promise.resolve(Response.json({ order_id: "1" })), // instead of the real venue
 *     });
 *   }
 *   override authorize({ token }: { token: string }): Promise<void> {
 *     this.session.headers.set("authorization", `token ${token}`);
 *     return Promise.resolve();
 *   }
 *   placeOrder(order: { symbol: string; quantity: number }): Promise<{ order_id: string }> {
 *     return this.session.post("orders/regular", { form: order });
 *   }
 * }
 *
 * const broker = new Kite();
 * await broker.authorize({ token: "key:secret" });
 * assertEquals(await broker.placeOrder({ symbol: "INFY", quantity: 1 }), { order_id: "1" });
 * await broker.close();
 * ```
 *
 * @typeParam Login What it takes to log in.
 */
export abstract class AbstractBroker<Login = void> {
  #session: Session | undefined;
  #isClosed = false;

  /**
   * Logs in. Calls that log in through the session say `renew: false`.
   *
   * @param login What it takes.
   */
  abstract authorize(login: Login): Promise<void>;

  /**
   * Logs in anew, where a subclass knows how to: once for all the calls that were answered 401, which are then
   * replayed. Without it a 401 is final. Its own calls say `renew: false`, or those after its first `await` would
   * wait for themselves. Write it as a method: a field is set only after the constructor of the class above it.
   */
  protected renew?(): Promise<void>;

  /**
   * Finds the venue's own error in an answer, where a subclass knows its envelope.
   *
   * @param reply The answer, of any status.
   * @returns The error, or undefined if the answer is none; the session adds what it lacks, such as the URL.
   *   After a 401, 408, 418, 429 or 5xx its words and code count, but the status decides kind and outcome.
   */
  protected failure?(reply: Reply): BrokerError | undefined;

  /**
   * Creates the session. To be called once, by the constructor of a subclass.
   *
   * @param options Options of the session. `onUnauthorized` and `failure` are this class's methods by default.
   * @throws {Error} If there is a session already, or the broker is closed.
   */
  protected initialiseSession(options: SessionOptions): void {
    if (this.#session) throw new Error("Cannot initialise the session: there is one already");
    if (this.#isClosed) throw new Error("Cannot initialise the session: the broker is closed");
    this.#session = new Session({
      onUnauthorized: this.renew && (() => this.renew!()),
      failure: this.failure && ((reply) => this.failure!(reply)),
      ...options,
    });
  }

  /**
   * The session.
   *
   * @throws {Error} If it has not been initialised.
   */
  protected get session(): Session {
    if (this.#session) return this.#session;
    throw new Error(
      "Cannot use the session: there is none, wanted initialiseSession() in the constructor",
    );
  }

  /** Closes the session: ends every call and waits until their requests have ended. May be called again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#session?.close();
  }

  /** Closes the broker. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
