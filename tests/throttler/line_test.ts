import { assert, assertEquals } from "@std/assert";
import { Line, listen, orderOf, Waiter } from "../../throttler/line.ts";

/** Waiters in the order in which they join, as `[age, urgent]`. */
function lineOf(...calls: [age: number, urgent: boolean][]): [Line, Waiter[]] {
  const line = new Line();
  const waiters = calls.map(([age, urgent], i) => new Waiter(2 ** i, orderOf(age, urgent)));
  for (const waiter of waiters) line.join(waiter);
  return [line, waiters];
}

Deno.test("orderOf() puts urgent calls first, then those that wait, then newcomers", () => {
  const orders = [
    orderOf(1, true),
    orderOf(2 ** 40, true),
    orderOf(Infinity, true),
    orderOf(1, false),
    orderOf(2 ** 40, false),
    orderOf(Infinity, false),
  ];
  assertEquals(orders.toSorted((a, b) => a - b), orders);
  assertEquals(new Set(orders).size, orders.length);
});

Deno.test("Line.join() keeps the urgent before the others, and both by age", () => {
  const [line, calls] = lineOf([5, false], [6, true], [3, false], [9, false], [4, true], [8, true]);
  const [a, b, c, d, e, f] = calls;
  assertEquals(line.all(), [e, b, f, c, a, d]);
  assertEquals(line.first, e);
});

Deno.test("Line.remove() takes a call out once, wherever it stands", () => {
  const [line, calls] = lineOf([1, false], [2, true], [3, false], [4, true]);
  const [a, b, c, d] = calls;
  assert(line.remove(c));
  assertEquals([line.remove(c), c.isInLine, line.all()], [false, false, [b, d, a]]);
  assert(line.remove(b));
  assertEquals(line.first, d);
  assert(line.remove(d));
  assertEquals(line.first, a);
  assert(line.remove(a));
  assertEquals([line.first, line.all()], [undefined, []]);
  line.join(c);
  assertEquals(line.all(), [c]);
});

Deno.test("Line.costBefore() adds up the tokens of those that go before", () => {
  // Costs 1, 2, 4, 8, 16: each sum names its calls.
  const [line, calls] = lineOf([1, false], [2, true], [3, false], [4, true], [5, false]);
  const costs = calls.map(({ order }) => line.costBefore(order));
  assertEquals(costs, [2 + 8, 0, 2 + 8 + 1, 2, 2 + 8 + 1 + 4]);
  assertEquals(line.costBefore(Infinity), 31);
  assertEquals(line.costBefore(orderOf(Infinity, true)), 2 + 8);
  line.remove(calls[1]);
  assertEquals([line.costBefore(Infinity), line.costBefore(calls[2].order)], [29, 9]);
});

Deno.test("Line.join() puts an urgent call before 100,000 others without a walk past them", () => {
  const line = new Line();
  for (let age = 1; age <= 100_000; age++) line.join(new Waiter(1, orderOf(age, false)));
  let steps = 0;
  const urgent = new Waiter(1, orderOf(100_001, true));
  Object.defineProperty(urgent, "order", { get: () => (steps++, orderOf(100_001, true)) });
  line.join(urgent);
  assertEquals(line.first, urgent);
  assert(steps < 5, `${steps}`);
});

Deno.test("listen() puts one listener on a signal, calls the youngest first, and takes it off", () => {
  const controller = new AbortController();
  const { signal } = controller;
  const calls: string[] = [];
  let added = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    added++;
    addEventListener.apply(signal, args as never);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    added--;
    removeEventListener.apply(signal, args as never);
  };
  const stop = ["a", "b", "c"].map((name) => listen(signal, (why) => calls.push(name + why)));
  assertEquals(added, 1);
  stop[1]();
  controller.abort("!");
  assertEquals(calls, ["c!", "a!"]);
  for (const one of stop) one();
  assertEquals(added, 0);
  listen(undefined, () => calls.push("never"))();
  assertEquals(calls.length, 2);
});
