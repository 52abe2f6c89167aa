import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { MEMORY, Memory } from "../../websocket_feeder/memory.ts";

Deno.test("Memory tells which connection brought an id first", () => {
  const memory = new Memory();
  assertEquals(memory.firstOf("a", 1), undefined);
  assertEquals(memory.firstOf("a", 2), 1);
  assertEquals(memory.firstOf("a", 1), 1);
  assertEquals(memory.firstOf(NaN, 0), undefined);
  assertEquals(memory.firstOf(NaN, 3), 0);
});

Deno.test("Memory remembers the latest 65,536 ids and no more", () => {
  const memory = new Memory();
  for (let id = 0; id < MEMORY; id++) assertEquals(memory.firstOf(id, 1), undefined);
  assertEquals(memory.firstOf(0, 2), 1);
  assertEquals(memory.firstOf(MEMORY, 1), undefined);
  assertEquals(memory.firstOf(1, 2), 1);
  assertEquals(memory.firstOf(0, 2), undefined, "the oldest is forgotten");
  assertEquals(MEMORY, 65_536);
});

Deno.test("property: Memory is a window over the ids that were new", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 12 }), { size: "large" }),
      fc.integer({ min: 1, max: 8 }),
      (ids, size) => {
        const memory = new Memory(size);
        const window: number[] = [];
        for (const id of ids) {
          assertEquals(memory.firstOf(id, 1) !== undefined, window.includes(id));
          if (window.includes(id)) continue;
          window.push(id);
          if (window.length > size) window.shift();
        }
      },
    ),
  );
});
