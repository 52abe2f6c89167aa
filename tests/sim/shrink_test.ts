import { assertEquals } from "@std/assert";
import { shrink } from "./shrink.ts";

Deno.test("shrink() keeps the entries that are needed, in their order", async () => {
  const all = Array.from({ length: 40 }, (_, i) => i);
  const fails = (part: number[]) => Promise.resolve(part.includes(3) && part.includes(31));
  assertEquals(await shrink(all, fails), [3, 31]);
});
