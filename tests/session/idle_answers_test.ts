import { assert, assertEquals } from "@std/assert";
import { IdleAnswers } from "../../session/idle_answers.ts";

const ROOM = new URL("../../session/idle_answers.ts", import.meta.url).href;
const DENO = { name: "deno", version: "2.9.6" } as const;

declare function setImmediate(callback: (value: unknown) => void): unknown;

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

Deno.test("IdleAnswers.wait() takes more turns than Deno takes between two looks at its sockets", async () => {
  const turns = await turnsOf(new IdleAnswers(DENO).wait());
  assert(turns > 61, `${turns} turns`);
});

Deno.test("IdleAnswers.wait() takes two turns on Node", async () => {
  const turns = await turnsOf(new IdleAnswers({ name: "node", version: "24.0.0" }).wait());
  assert(turns >= 2, `${turns} turns`);
  assert(turns < 60, `${turns} turns`); // a slow machine may take two turns again
});

/** Waits where the event loop runs no immediate, and says whether 50 ms or the wait end first. */
async function waitWithoutImmediates(version: string): Promise<string> {
  const script = `
    globalThis.setImmediate = () => {};
    const { IdleAnswers } = await import(${JSON.stringify(ROOM)});
    setTimeout(() => console.log("50 ms"), 50);
    await new IdleAnswers({ name: "deno", version: "${version}" }).wait();
    console.log("wait");`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", "--no-check", script] });
  return new TextDecoder().decode((await child.output()).stdout).trim().replace("\n", ", ");
}

Deno.test("IdleAnswers.wait() takes a short timer where Deno runs immediates late", async () => {
  for (const version of ["2.4.0", "2.5.6", "2.6.0", "2.6.1"]) {
    assertEquals(await waitWithoutImmediates(version), "wait, 50 ms");
  }
});

Deno.test("IdleAnswers.wait() ends though the event loop runs no immediate", async () => {
  assertEquals(await waitWithoutImmediates("2.6.2"), "50 ms, wait");
});

Deno.test("IdleAnswers.wait() has nothing to wait for on other runtimes", () => {
  for (const name of ["bun", "workerd", "unknown"] as const) {
    assertEquals(new IdleAnswers({ name, version: "" }).wait(), undefined);
  }
});

Deno.test("IdleAnswers.wait() has nothing to wait for right after an answer", () => {
  const idle = new IdleAnswers(DENO);
  idle.answered(performance.now() + 60_000); // a slow machine must not spoil the test
  assertEquals(idle.wait(), undefined);
  idle.answered(0); // the answer to an older request takes nothing back
  assertEquals(idle.wait(), undefined);
});

Deno.test("IdleAnswers.wait() lets orders wait together", async () => {
  const idle = new IdleAnswers(DENO);
  const first = idle.wait();
  assert(first === idle.wait());
  await first;
});

Deno.test("IdleAnswers.wait() waits again once the last wait is long ago", async () => {
  const idle = new IdleAnswers(DENO);
  await idle.wait();
  const end = performance.now() + 10;
  while (performance.now() < end);
  const turns = await turnsOf(idle.wait());
  assert(turns > 61, `${turns} turns`);
});
