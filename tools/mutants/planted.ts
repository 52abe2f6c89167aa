/**
 * The mutants that the simulation must find, by file: each breaks a promise that the
 * simulation looks at.
 *
 * @module
 */

/** Names of mutants, by their file. */
export const PLANTED: Readonly<Record<string, readonly string[]>> = {
  "session.ts": [
    "an order of unknown fate is repeated",
    "an order of unknown fate is replayed after a login",
    "an abort is not heard",
    "the horizon is counted from the beginning",
    "calls in line go out with the dead token",
    "a call does not wait for the login that runs",
    "a login that waits for itself never ends",
  ],
  "session/call.ts": [
    "an order is repeated whatever became of it",
    "an order in flight does not outlive close()",
    "a reconciliation does not outlive close()",
  ],
  "session/fate.ts": [
    "a reset is not-sent",
    "an order in flight was not sent",
    "the venue's words decide about a 5xx",
    "an order whose first request is unknown may be rejected",
  ],
  "session/exchange.ts": [
    "the time of an attempt is not limited",
    "what was sent is shown",
    "the connection of a failed request is left open",
  ],
  "session/open_calls.ts": ["close() waits for GETs", "the timer of close() is left"],
  "session/renewal.ts": [
    "a failed login is a success",
    "calls stay in line while the login runs",
    "the timer of a login is left",
    "two logins run at a time",
  ],
  "session/secrets.ts": ["a value of a header is shown"],
  "reconcile.ts": ["an abort says that the order was not sent"],
  "common/inquiry.ts": [
    "the first undefined counts",
    "a throw of find ends the look-ups",
    "the timeout is not kept",
    "an abort is not heard",
    "a timer is left",
    "absent is called rejected",
  ],
  "throttler/bucket.ts": [
    "one call too many",
    "the wall clock is used",
    "a token returns a tick early",
  ],
  "throttler/gate.ts": [
    "an early timer is trusted",
    "an urgent call passes the limit",
    "an urgent newcomer passes the limit",
    "a call that throws is not charged",
  ],
  "throttler.ts": ["an aborted call stays in line"],
  "websocket_feeder/connection.ts": [
    "questions outlive the connection",
    "timers outlive the connection",
    "a dead socket is still heard",
  ],
  "websocket_feeder/questions.ts": [
    "an order that left is called not-sent",
    "a timer is left",
    "an end leaves questions open",
  ],
  "websocket_feeder/establish.ts": ["connectTimeout is not kept", "silence is not watched"],
  "websocket_feeder/lifecycle.ts": [
    "the timer of a wait is left",
  ],
  "websocket_feeder/subscriptions.ts": [
    "what is late is not asked for again",
    "a confirmation is not noted",
  ],
  "websocket_feeder/wanted.ts": ["a new connection asks for nothing"],
  "websocket_feeder/recovery.ts": [
    "a gap that is open does not grow",
    "the answer of an older backfill counts",
    "live items do not wait for the backfill",
    "a backfill is waited for without end",
  ],
  "websocket_feeder/memory.ts": ["an id is always new"],
  "websocket_feeder/handover.ts": [
    "a connection that fell silent before the new one asked was heard",
  ],
  "websocket_feeder/delivery.ts": [],
  "sharded_feeder.ts": ["an empty shard stays", "a shard that is added later does not connect"],
};
