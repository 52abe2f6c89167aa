import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Fifo, KeyedQueue, type Queue } from "../../feeder/queue.ts";

const KEYS = ["a", "b", 1, "1", NaN, undefined, null, -0];

/** What a queue is asked to do: an item with a key, a read, or to forget all. */
const steps = fc.array(
  fc.oneof(
    { arbitrary: fc.constantFrom(...KEYS).map((key) => ({ do: "add" as const, key })), weight: 12 },
    { arbitrary: fc.constant({ do: "shift" as const }), weight: 8 },
    { arbitrary: fc.constant({ do: "clear" as const }), weight: 1 },
  ),
  { maxLength: 100 },
);

/** Plays the steps on a queue and on a list, and compares them after each. */
function compare(
  queue: Queue<number>,
  isKeyed: boolean,
  plan: typeof steps extends fc.Arbitrary<infer P> ? P : never,
) {
  const model: { key: unknown; item: number }[] = [];
  let item = 0;
  for (const step of plan) {
    if (step.do === "add") {
      item++;
      // A Map takes NaN for equal to NaN, and -0 for 0, as Object.is and === do not both.
      const same = (key: unknown) => key === step.key || Object.is(key, step.key);
      const twin = isKeyed ? model.find(({ key }) => same(key)) : undefined;
      assertEquals(queue.replace(step.key, item), twin !== undefined);
      if (twin) twin.item = item;
      else {
        queue.push(step.key, item);
        model.push({ key: step.key, item });
      }
    } else if (step.do === "shift" && model.length > 0) {
      assertEquals(queue.shift(), model.shift()!.item);
    } else if (step.do === "clear") {
      queue.clear();
      model.length = 0;
    }
    assertEquals(queue.size, model.length);
  }
  while (model.length > 0) assertEquals(queue.shift(), model.shift()!.item);
  assertEquals(queue.size, 0);
}

Deno.test("Fifo is a list of every item, whatever is done to it", () => {
  fc.assert(fc.property(steps, (plan) => compare(new Fifo(), false, plan)));
});

Deno.test("KeyedQueue is a list of the latest item of each key, whatever is done to it", () => {
  fc.assert(fc.property(steps, (plan) => compare(new KeyedQueue(), true, plan)));
});

for (const make of [() => new Fifo<string>(), () => new KeyedQueue<string>()]) {
  const { name } = make().constructor;

  Deno.test(`${name}.clear() forgets all items, and the queue can be used on`, () => {
    const queue = make();
    queue.push("a", "a1");
    queue.push("b", "b1");
    queue.shift();
    queue.push("c", "c1");
    queue.clear();
    assertEquals(queue.size, 0);
    assertEquals(queue.replace("c", "c2"), false);
    queue.push("b", "b2");
    queue.push("c", "c3");
    assertEquals([queue.size, queue.shift(), queue.shift(), queue.size], [2, "b2", "c3", 0]);
  });
}

Deno.test("KeyedQueue.replace() keeps the place of the key, and a key that was read is new again", () => {
  const queue = new KeyedQueue<string>();
  queue.push("a", "a1");
  queue.push("b", "b1");
  assertEquals(queue.replace("a", "a2"), true);
  assertEquals(queue.shift(), "a2");
  assertEquals(queue.replace("a", "a3"), false);
  queue.push("a", "a3");
  assertEquals([queue.shift(), queue.shift()], ["b1", "a3"]);
});

/** Milliseconds that one item costs while a queue of so many keys is drained; the best of a few. */
function costOf(keys: number, make: () => Queue<number>): number {
  const rounds = 5;
  const queues = 100_000 / keys;
  let best = Infinity;
  for (let round = 0; round < rounds; round++) {
    const full = Array.from({ length: queues }, () => {
      const queue = make();
      for (let key = 0; key < keys; key++) queue.push(key, key);
      return queue;
    });
    const start = performance.now();
    for (const queue of full) while (queue.size > 0) queue.shift();
    best = Math.min(best, (performance.now() - start) / 100_000);
  }
  return best;
}

// Both are measured here and now, so a slow machine is slow in both. A queue whose cost grew with
// its size would be a few hundred times slower with 100,000 keys than with 100.
for (const make of [() => new Fifo<number>(), () => new KeyedQueue<number>()]) {
  const { name } = make().constructor;

  Deno.test(`${name} costs the same per item at any size`, () => {
    const ratio = costOf(100_000, make) / costOf(100, make);
    assert(ratio < 50, `an item of 100,000 costs ${ratio.toFixed(1)} times one of 100`);
  });
}
