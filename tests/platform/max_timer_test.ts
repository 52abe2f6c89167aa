import { assertEquals } from "@std/assert";
import { MAX_TIMER } from "../../platform/max_timer.ts";

/** Whether a timer of so many milliseconds fires at once. */
async function firesAtOnce(delay: number): Promise<boolean> {
  let hasFired = false;
  const timer = setTimeout(() => hasFired = true, delay);
  await new Promise((resolve) => setTimeout(resolve, 20));
  clearTimeout(timer);
  return hasFired;
}

Deno.test("MAX_TIMER is the longest timer: one of a millisecond more fires at once", async () => {
  assertEquals(MAX_TIMER, 2_147_483_647);
  assertEquals(await firesAtOnce(MAX_TIMER), false);
  assertEquals(await firesAtOnce(MAX_TIMER + 1), true);
});
