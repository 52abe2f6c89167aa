import { assertEquals } from "@std/assert";
import { Recent } from "../../examples/recent.ts";

Deno.test("Recent keeps the entries that were set last", () => {
  const recent = new Recent<string, number>(2);
  recent.set("a", 1).set("b", 2).set("a", 3).set("c", 4);
  assertEquals([...recent], [["a", 3], ["c", 4]]);
});

Deno.test("Recent keeps entries that may not go, and forgets the oldest of the others", () => {
  const recent = new Recent<string, string>(2, (state) => state === "Filled");
  recent.set("a", "New").set("b", "Filled").set("c", "Filled").set("d", "New");
  assertEquals([...recent.keys()], ["a", "d"]);
  recent.set("e", "New");
  assertEquals(recent.size, 3, "all are open");
  recent.set("a", "Filled");
  assertEquals([...recent.keys()], ["d", "e"]);
});
