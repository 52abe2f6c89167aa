import { assert } from "@std/assert";
import { nextAge } from "../../common/arrival.ts";

Deno.test("nextAge() gives each call a higher number than all before, above 0", () => {
  const ages = Array.from({ length: 100 }, () => nextAge());
  assert(ages[0] > 0);
  for (let i = 1; i < ages.length; i++) assert(ages[i] > ages[i - 1]);
});
