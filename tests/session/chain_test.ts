import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { Chain, type Link } from "../../session/chain.ts";

Deno.test("Chain keeps what was added and not removed, in order (property)", () => {
  const step = fc.record({ op: fc.constantFrom("add", "add", "remove", "again"), at: fc.nat(50) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const chain = new Chain<number>();
    const [inside, outside]: Link<number>[][] = [[], []];
    for (const [i, { op, at }] of steps.entries()) {
      if (op === "add") inside.push(chain.add(i));
      else if (op === "remove" && inside.length > 0) {
        const [link] = inside.splice(at % inside.length, 1);
        assertEquals(chain.remove(link), true);
        outside.push(link);
      } else if (outside.length > 0) {
        assertEquals(chain.remove(outside[at % outside.length]), false);
      }
      assertEquals(chain.values, inside.map(({ value }) => value));
      assertEquals(chain.size, inside.length);
      assertStrictEquals(chain.first, inside[0]);
    }
  }));
});

Deno.test("Chain: a link that was taken out names no neighbour", () => {
  const chain = new Chain<string>();
  const [, link] = ["a", "b", "c"].map((value) => chain.add(value));
  chain.remove(link);
  assertStrictEquals(link.before, link);
  assertStrictEquals(link.after, link);
});
