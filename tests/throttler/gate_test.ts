import { assertEquals, assertThrows } from "@std/assert";
import { Gate, LocalPlace, ThrottlerError } from "../../throttler/gate.ts";
import { Limits } from "../../throttler/limits.ts";
import { fakeClock } from "../fake_clock.ts";

/** A gate with one token, and places in it whose turns are noted. */
function setUp(count: number): [Gate, LocalPlace[], number[]] {
  const gate = new Gate(new Limits({ limit: 1, period: 10 }), Infinity);
  const turns: number[] = [];
  const places = Array.from({ length: count }, (_, i) => {
    const place = new LocalPlace(gate, { cost: 1, urgent: false, age: i + 1 });
    place.enter(() => {});
    return place;
  });
  for (const [i, place] of places.entries()) place.turn().then(() => turns.push(i));
  return [gate, places, turns];
}

Deno.test("LocalPlace.turn() resolves at the head of the line, and keeps it", async () => {
  using time = fakeClock();
  const [gate, [a, b], turns] = setUp(2);
  await time.tickAsync(100);
  assertEquals([turns, a.isOpen, b.isOpen, gate.size], [[0], true, false, 2]);
  await a.start(() => {});
  a.leave();
  assertEquals([a.isInLine, b.isOpen, b.wait, gate.size], [false, false, 10, 1]);
  await time.tickAsync(10);
  assertEquals([turns, b.isOpen], [[0, 1], true]);
});

Deno.test("LocalPlace.pass() lets the next one go, and leave() ends the wait", async () => {
  using time = fakeClock();
  const [gate, [a, b], turns] = setUp(2);
  a.pass();
  await time.tickAsync(0);
  assertEquals([turns, a.isInLine, b.isOpen, gate.size], [[0, 1], false, true, 2]);
  const again = a.turn(); // by its age it is first again
  assertEquals([a.isOpen, b.isOpen], [true, false]);
  await again;
  a.leave();
  a.leave();
  assertEquals([b.isOpen, gate.size], [true, 1]);
});

Deno.test("LocalPlace.start() starts its own call before the one behind it in line", () => {
  using _time = fakeClock();
  const gate = new Gate(new Limits({ limit: 2, period: 10 }), Infinity);
  const place = new LocalPlace(gate, { cost: 1, urgent: false, age: 1 });
  const next = new LocalPlace(gate, { cost: 2, urgent: false, age: 2 });
  place.turn();
  next.turn();
  let isOpen = true;
  place.start(() => isOpen = next.isOpen);
  assertEquals(isOpen, false); // one of its two tokens was held already
});

Deno.test("LocalPlace.enter() refuses where maxQueue calls wait", () => {
  const gate = new Gate(new Limits({ limit: 1, period: 10 }), 1);
  const [a, b] = [1, 2].map((age) => new LocalPlace(gate, { cost: 1, urgent: false, age }));
  a.enter(() => {});
  assertThrows(() => b.enter(() => {}), ThrottlerError, "1 wait, wanted fewer: maxQueue is 1");
  a.leave();
  b.enter(() => {});
  assertEquals(gate.size, 1);
});

Deno.test("Gate.refuse() tells the places that a rule names, in line or not", () => {
  using _time = fakeClock();
  const gate = new Gate(new Limits({ limit: 9, period: 10 }), Infinity);
  const told: [number, unknown][] = [];
  for (const cost of [1, 5, 7]) {
    const place = new LocalPlace(gate, { cost, urgent: false, age: cost });
    place.enter((reason) => told.push([cost, reason]));
    if (cost === 7) place.turn();
  }
  gate.refuse((cost) => cost > 4 ? { reason: `${cost}!` } : undefined);
  assertEquals(told, [[5, "5!"], [7, "7!"]]);
});
