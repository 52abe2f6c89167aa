import { assertEquals, assertNotEquals } from "@std/assert";
import { type History, historyOf, shorten } from "./history.ts";
import { play } from "./world.ts";

Deno.test("sim: a seed gives the same history and the same trace, another seed another", async () => {
  assertEquals(historyOf(7), historyOf(7));
  assertNotEquals(historyOf(7), historyOf(8));
  const [one, two] = [await play(historyOf(7)), await play(historyOf(7))];
  assertEquals(one.trace, two.trace);
  assertEquals(one.trace.length > 20, true);
});

Deno.test("sim: no promise is broken in the first histories", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    assertEquals((await play(historyOf(seed))).faults, [], `deno task sim --seed ${seed}`);
  }
});

Deno.test("shorten() leaves only the steps that are needed for the failure", async () => {
  const history: History = {
    seed: 1,
    steps: Array.from({ length: 40 }, (_, at) => ({ action: { do: "expire" }, then: at })),
  };
  const fails = (shorter: History) => {
    const left = shorter.steps.map(({ then }) => then);
    return Promise.resolve(left.includes(11) && left.includes(30));
  };
  const { steps } = await shorten(history, fails);
  assertEquals(steps.map(({ then }) => then), [11, 30]);
});
