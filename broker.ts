/**
 * The base class of a client of a broker or an exchange: a login, a session, and their end.
 *
 * @module
 */

import { type BrokerError, type Reply, Session, type SessionOptions } from "./session.ts";

/**
 * Holds the session of a broker's or an exchange's client, from the login to the end. A subclass
 * says in its constructor where the venue is, and in `authorize` how to log in.
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
 * @typeParam Login The credentials that a login takes.
 */
export abstract class AbstractBroker<Login = void> {
  #session: Session | undefined;
  #isClosed = false;

  /**
   * Logs in. Calls that log in through the session say `renew: false`.
   *
   * @param login The credentials.
   * @returns A promise of the end of the login.
   */
  abstract authorize(login: Login): Promise<void>;

  /**
   * Logs in anew, where a subclass knows how to: once for all calls that were answered 401, which
   * are then replayed. An error of kind `"unauthorized"` and outcome `"rejected"` from `failure`
   * counts as a 401: a refused timestamp, for which this method reads the clock, can be one. Without
   * this method a 401 is final. The calls of the login say `renew: false`; otherwise those after its
   * first `await` wait for themselves. A timer may call {@linkcode Session.renew} before the login
   * expires: timer and 401 share one login.
   *
   * @returns A promise of the end of the login.
   */
  protected renew?(): Promise<void>;

  /**
   * Finds the venue's own error in an answer, where a subclass knows the venue's envelope.
   *
   * @param reply The answer, of any status.
   * @returns The error, or undefined for an answer that is no error. The session adds the missing
   *   properties, such as the URL. After a 401, 408, 418, 429 or 5xx the words and the code of the
   *   error count, but the status decides kind and outcome.
   */
  protected failure?(reply: Reply): BrokerError | undefined;

  /**
   * Creates the session. To be called once, by the constructor of a subclass.
   *
   * @param options Options of the session. Without `onUnauthorized` and `failure` the session calls
   *   `renew` and `failure` of this class. Both are looked up when they are called, so a subclass
   *   may write them as methods or as fields.
   * @throws {Error} If there is a session already, or the broker is closed.
   */
  protected initialiseSession(options: SessionOptions): void {
    if (this.#session) throw new Error("Cannot initialise the session: there is one already");
    if (this.#isClosed) throw new Error("Cannot initialise the session: the broker is closed");
    const hooks = {
      onUnauthorized: () => options.onUnauthorized ?? (this.renew && (() => this.renew!())),
      failure: () => options.failure ?? (this.failure && ((reply: Reply) => this.failure!(reply))),
    };
    this.#session = new Session({
      ...options,
      get onUnauthorized() {
        return hooks.onUnauthorized();
      },
      get failure() {
        return hooks.failure();
      },
    });
  }

  /**
   * The session.
   *
   * @throws {Error} If no session has been initialised.
   */
  protected get session(): Session {
    if (this.#session) return this.#session;
    throw new Error(
      "Cannot use the session: there is none, wanted initialiseSession() in the constructor",
    );
  }

  /**
   * Closes the session, as {@linkcode Session.close} says: waits and GETs end at once, an order
   * that has been handed to `fetch` comes to its end for at most `closeTimeout`. To close again
   * does nothing more.
   *
   * @returns A promise of the end of the last request.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#session?.close();
  }

  /** Closes the broker. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
