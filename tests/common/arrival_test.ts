import { assert } from "@std/assert";
import { nextAge } from "../../common/arrival.ts";

Deno.test("nextAge() is above all that were given before", () => {
  let oldest = nextAge();
  for (let i = 0; i < 1_000; i++) {
    const age = nextAge();
    assert(age > oldest);
    oldest = age;
  }
});
