import { assertEquals } from "@std/assert";
import { IdleAnswers } from "../../session/idle_answers.ts";

/** Counts the turns of the event loop until a promise has settled. */
async function turnsOf(promise: Promise<void> | undefined): Promise<number> {
  let turns = 0;
  let isDone = false;
  promise?.finally(() => isDone = true);
  await Promise.resolve();
  while (promise && !isDone) {
    turns++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return turns;
}

declare function setImmediate(callback: (value: unknown) => void): unknown;

Deno.test("IdleAnswers.look() waits for more turns than the loop takes between two looks at the sockets", async () => {
  const turns = await turnsOf(new IdleAnswers("2.9.6").look());
  assertEquals(turns > 61, true, `${turns} turns`);
});

Deno.test("IdleAnswers.look() waits for a single timer where Deno ran immediates as timers", async () => {
  const turns = await turnsOf(new IdleAnswers("2.4.0").look());
  assertEquals(turns < 10, true, `${turns} turns`);
});

Deno.test("IdleAnswers.look() waits for nothing right after an answer", () => {
  const idle = new IdleAnswers("2.9.6");
  idle.answered(performance.now() + 60_000); // a slow machine must not spoil the test
  assertEquals(idle.look(), undefined);
  idle.answered(0); // the answer to an older request takes nothing back
  assertEquals(idle.look(), undefined);
});

Deno.test("IdleAnswers.look() lets orders wait together", async () => {
  const idle = new IdleAnswers("2.9.6");
  const first = idle.look();
  assertEquals(first, idle.look());
  await first;
});
