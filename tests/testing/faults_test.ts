import { assert, assertEquals } from "@std/assert";
import { HTTP_FAULTS } from "../../testing.ts";
import { Strikes } from "../../testing/faults.ts";

Deno.test("HTTP_FAULTS: the name of a fault says whether the venue executes", () => {
  for (const [name, { executes }] of Object.entries(HTTP_FAULTS)) {
    if (/before-executing$|^status$/.test(name)) assertEquals(executes, 0, name);
    else if (name === "executed-twice") assertEquals(executes, 2);
    else assertEquals(executes, 1, name);
  }
  assert(Object.keys(HTTP_FAULTS).length >= 20);
});

Deno.test("Strikes strike from the nth time on, as often as told", () => {
  const count = (options: { nth?: number; times?: number }) => {
    const strikes = new Strikes(options);
    return Array.from({ length: 6 }, () => strikes.next() ? 1 : 0).join("");
  };
  assertEquals(count({}), "100000");
  assertEquals(count({ nth: 3 }), "001000");
  assertEquals(count({ nth: 2, times: 3 }), "011100");
  assertEquals(count({ times: Infinity }), "111111");
});
