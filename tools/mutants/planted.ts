/**
 * The mutants that the simulation must find, by file: each breaks a promise that the simulation looks
 * at.
 *
 * @module
 */

/** Names of mutants, by their file. */
export const PLANTED: Readonly<Record<string, readonly string[]>> = {
  "session.ts": [
    "an order of unknown fate is repeated",
    "an abort is not heard",
    "the horizon is counted from the beginning",
  ],
  "session/call.ts": ["an order is repeated whatever became of it"],
  "session/fate.ts": ["a reset is not-sent", "an order in flight was not sent"],
  "session/exchange.ts": ["the time of an attempt is not limited", "what was sent is shown"],
  "session/renewal.ts": ["two logins run at a time"],
  "session/secrets.ts": ["a value of a header is shown"],
  "reconcile.ts": [
    "the first undefined counts",
    "a throw of find ends the look-ups",
    "an abort says that the order was not sent",
  ],
  "throttler/bucket.ts": ["one call too many", "the wall clock is used"],
  "throttler/gate.ts": [
    "an early timer is trusted",
    "an urgent call passes the limit",
    "an urgent newcomer passes the limit",
  ],
  "websocket_feeder/connection.ts": [
    "timers outlive the connection",
    "a dead socket is still heard",
  ],
  "websocket_feeder/questions.ts": ["an order that left is called not-sent"],
  "websocket_feeder/establish.ts": ["connectTimeout is not kept"],
  "websocket_feeder/lifecycle.ts": ["the timer of a wait is left"],
  "websocket_feeder/subscriptions.ts": [
    "what is late is not asked for again",
    "a confirmation is not noted",
  ],
  "websocket_feeder/wanted.ts": ["a new connection asks for nothing"],
  "websocket_feeder/recovery.ts": ["the answer of an older backfill counts"],
  "websocket_feeder/memory.ts": ["an id is always new"],
  "sharded_feeder.ts": ["a shard that is added later does not connect"],
};
