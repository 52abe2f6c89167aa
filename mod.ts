/**
 * Base classes for people who write their own stockbroker and exchange clients, on native `fetch`,
 * native `WebSocket` and `await using`, for Deno, Node and Bun.
 *
 * | You write | You get |
 * |---|---|
 * | a broker on {@linkcode AbstractBroker} | orders that are sent at most once and whose fate is always told |
 * | `reconcile` beside an order | the fate of an order that no answer came for |
 * | limits as a {@linkcode Throttler} | a rate that is never exceeded, in any window |
 * | limits as a `RedisThrottler` of `@aio-trader/core/redis` | the same rate for many processes |
 * | a {@linkcode VenueClock} | timestamps that are never ahead of the venue's clock |
 * | a feed on {@linkcode WebSocketFeeder} | a feed that is still there in the morning, with everything subscribed |
 * | {@linkcode ShardedFeeder} around a feed | the same over several sockets |
 * | {@linkcode retry} around anything | network errors repeated, and nothing else |
 *
 * What to read first:
 *
 * | To … | read |
 * |---|---|
 * | send an order | `./broker`, then `./session` for every option of a call |
 * | know what became of it | `./reconcile` |
 * | keep a limit | `./throttler`; for several processes `./redis` |
 * | read a feed | `./websocket-feeder`; over several sockets `./sharded-feeder` |
 * | read items from a feed | `./feeder`: events, streams, the states of a feed |
 * | test all that without a venue | `./testing`, which is no part of this module |
 *
 * Every duration is in milliseconds.
 *
 * @example A broker, and what became of an order
 * ```ts
 * import { AbstractBroker, BrokerError, Throttler } from "@aio-trader/core";
 * import { assert, assertEquals } from "@std/assert";
 *
 * class Broker extends AbstractBroker<{ token: string }> {
 *   constructor(fetch: typeof globalThis.fetch) {
 *     super();
 *     this.initialiseSession({
 *       baseUrl: "https://api.venue.example/v1",
 *       throttlers: [new Throttler({ limit: 10, period: 1_000 })],
 *       fetch, // for this example: leave it out to reach a real venue
 *     });
 *   }
 *   override async authorize({ token }: { token: string }) {
 *     this.session.headers.set("authorization", `Bearer ${token}`);
 *   }
 *   placeOrder(order: { symbol: string; quantity: number }) {
 *     return this.session.post<{ id: string }>("orders", { json: order });
 *   }
 * }
 *
 * let sent = 0;
 * const venue = () => {
 *   sent++;
 *   return Promise.resolve(new Response("Bad gateway", { status: 502 }));
 * };
 *
 * const broker = new Broker(venue);
 * await broker.authorize({ token: "secret" });
 * const error = await broker.placeOrder({ symbol: "INFY", quantity: 1 }).catch((error) => error);
 * await broker.close();
 *
 * assert(error instanceof BrokerError);
 * assertEquals(error.outcome, "unknown"); // it may have been executed: ask the venue first
 * assertEquals(sent, 1); // the session did not send the order again
 * ```
 *
 * @module
 */

export * from "./retry.ts";
export * from "./throttler.ts";
export * from "./session.ts";
export { reconcile, type ReconcileContext, type ReconcileOptions } from "./reconcile.ts";
export * from "./venue_clock.ts";
export * from "./broker.ts";
export * from "./feeder.ts";
export * from "./websocket_feeder.ts";
export * from "./sharded_feeder.ts";
