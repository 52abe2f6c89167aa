/**
 * Venues that fail on purpose, and time that passes only when a test says so: for tests of your own
 * broker and feed. `docs/testing.md` shows how to use them with Deno.test, node:test and vitest.
 *
 * One script language, two stages:
 *
 * - {@linkcode LoopbackVenue}: HTTP and WebSocket on real sockets of 127.0.0.1.
 * - {@linkcode SimulatedVenue}: no sockets; `fetch` and `createSocket` in virtual time, from a seed.
 *
 * On both, `venue.on("POST /orders", handler)` says how a request is answered,
 * `venue.fail("POST /orders", "reset-after-executing", { nth: 3 })` plans a fault by its name, and
 * `venue.will("POST /orders", ...steps)` says how the next requests end, one by one. `venue.feed`
 * says the same of frames and connections. `venue.executed`, `venue.requests`, `venue.feed.frames`
 * and `client.held` tell what the venue has seen.
 *
 * This module runs on Deno, Node and Bun. It is no part of `mod.ts`.
 *
 * @example A feed whose acknowledgement is lost
 * ```ts
 * import { SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { WebSocketFeeder } from "@aio-trader/core/websocket-feeder";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * venue.feed.on((frame, client) => {
 *   client.held.add(String(frame));
 *   client.send(`granted ${frame}`);
 * });
 * venue.feed.fail("granted", "lose");
 *
 * class Feed extends WebSocketFeeder<string> {
 *   protected override endpoint() {
 *     return venue.wsUrl;
 *   }
 *   protected override createSocket(url: string) {
 *     return venue.createSocket(url);
 *   }
 *   protected override request(_: "subscribe" | "unsubscribe", [symbol]: string[]) {
 *     return symbol;
 *   }
 *   protected override receive(frame: string | ArrayBuffer) {
 *     this.confirm(String(frame).replace("granted ", ""));
 *   }
 * }
 *
 * const feed = new Feed({ confirmTimeout: 1_000 });
 * let whole = 0;
 * feed.on("subscribed", () => whole++);
 * feed.subscribe("INFY");
 * void feed.connect();
 * await time.pass(500);
 * assertEquals([whole, venue.feed.frames.length], [0, 1]); // asked, and not confirmed
 * await time.pass(1_000);
 * assertEquals([whole, venue.feed.frames.length], [1, 2]); // asked again, and confirmed
 * const closed = feed.close();
 * await time.pass(1_000);
 * await closed;
 * ```
 *
 * @module
 */

export {
  type Ending,
  type FrameFault,
  type FrameFaultOptions,
  HTTP_FAULTS,
  type HttpFault,
  type HttpFaultOptions,
  type HttpFaultRow,
} from "./testing/faults.ts";
export {
  type Admission,
  FeedClient,
  FeedScript,
  type FrameMatch,
  type RefuseOptions,
  type Upgrade,
  type VenueFrame,
  type Wire,
} from "./testing/feed_script.ts";
export { LoopbackVenue } from "./testing/loopback_venue.ts";
export { randomOf } from "./testing/random.ts";
export { raw, reply, VenueReply } from "./testing/reply.ts";
export type { SimulatedRuntime } from "./testing/runtimes.ts";
export {
  type Handler,
  type Incoming,
  type Step,
  type Turn,
  type VenueRequest,
  VenueScript,
} from "./testing/script.ts";
export { SimulatedVenue, type SimulatedVenueOptions } from "./testing/simulated_venue.ts";
export { VirtualTime, type VirtualTimeOptions } from "./testing/virtual_time.ts";
