/**
 * The tables of mutants, by room.
 *
 * @module
 */

import type { Room } from "./mutant.ts";
import { room as feeder } from "./feeder.ts";
import { room as gaps } from "./gaps.ts";
import { room as reconcile } from "./reconcile.ts";
import { room as redis } from "./redis.ts";
import { room as retry } from "./retry.ts";
import { room as session } from "./session.ts";
import { room as throttler } from "./throttler.ts";
import { room as websocketFeeder } from "./websocket_feeder.ts";

/** All rooms by the name that the command line takes. */
export const ROOMS: Record<string, Room> = {
  throttler,
  retry,
  feeder,
  session,
  reconcile,
  gaps,
  redis,
  "websocket-feeder": websocketFeeder,
};
