/**
 * Counts what has happened in many histories, so that a generator that does nothing is seen.
 *
 * @module
 */

import { HTTP_FAULTS } from "../../testing.ts";
import { DEEDS_DONE } from "./history.ts";
import type { Witness } from "./witness.ts";

/** The verdicts that each kind of call must meet. */
const VERDICTS: Readonly<Record<string, readonly string[]>> = {
  order: ["resolved", "rejected", "absent", "unknown", "not-sent"],
  "order over the socket": ["resolved", "absent", "unknown", "not-sent"],
  cancel: ["resolved", "rejected", "unknown", "not-sent"],
  amendment: ["resolved", "rejected", "unknown"],
  read: ["resolved", "rejected", "unknown", "not-sent"],
};

/** What must happen in a few thousand histories. */
export const WANTED: readonly string[] = [
  ...DEEDS_DONE.map((deed) => `deed ${deed}`),
  ...Object.keys(HTTP_FAULTS).map((fault) => `fault ${fault}`),
  ...["lose", "delay", "repeat", "swap", "lose-request"].map((fault) => `frame ${fault}`),
  ...Object.entries(VERDICTS).flatMap(([what, all]) => all.map((one) => `${what}: ${one}`)),
  ...["state", "live", "retry", "subscribed", "quiet", "error"].map((type) => `feed ${type}`),
  ...["request", "response", "failure", "retry"].map((type) => `event ${type}`),
  ...["backfill", "gap filled", "gap not filled", "denied", "denied for a while", "lie"],
];

/** The counts of many histories. */
export class Tally {
  /** How often each thing has happened. */
  readonly counts: Map<string, number> = new Map();

  /** Adds what a witness has seen. */
  add({ counts }: Witness): void {
    for (const [what, count] of counts) this.counts.set(what, (this.counts.get(what) ?? 0) + count);
  }

  /** What has never happened though it must. */
  get missing(): string[] {
    return WANTED.filter((what) => !this.counts.has(what));
  }

  /** The counts as a table. */
  toString(): string {
    const cells = [...this.counts].sort(([a], [b]) => a < b ? -1 : 1)
      .map(([what, count]) => `${String(count).padStart(8)}  ${what.padEnd(34)}`);
    const rows = Math.ceil(cells.length / 2);
    return Array.from({ length: rows }, (_, i) => `${cells[i]}${cells[i + rows] ?? ""}`.trimEnd())
      .join("\n");
  }
}
