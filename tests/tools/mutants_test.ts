import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { apply, breaking } from "../../tools/mutants/mutant.ts";
import { ROOMS } from "../../tools/mutants/rooms.ts";

const url = breaking("session/url.ts");

Deno.test("a mutant's edits are made one after the other", () => {
  const mutant = url("it is broken", ["a", "bb"], ["bbc", "$&"]);
  assertEquals(mutant.file, "session/url.ts");
  assertEquals(apply(mutant, "acd"), "$&d");
});

Deno.test("a mutant whose text does not occur exactly once does not fit", () => {
  const fits = (source: string) => apply(url("it is broken", ["ab", "x"]), source);
  assertThrows(() => fits("a b"), RangeError, "occurs 0 times, wanted once: ab");
  assertThrows(() => fits("ab ab"), RangeError, "occurs 2 times, wanted once: ab");
  assertEquals(fits("cab"), "cx");
});

Deno.test("every mutant of the tables fits the file that it breaks", async () => {
  for (const mutant of Object.values(ROOMS).flatMap(({ mutants }) => mutants)) {
    const source = await Deno.readTextFile(new URL(`../../${mutant.file}`, import.meta.url));
    assertNotEquals(apply(mutant, source), source, mutant.name);
  }
});
