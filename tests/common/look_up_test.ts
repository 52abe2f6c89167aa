import { assertEquals } from "@std/assert";
import { isLookUp, markLookUp } from "../../common/look_up.ts";

Deno.test("isLookUp() knows the signals that were marked, and no others", () => {
  const { signal } = new AbortController();
  assertEquals(isLookUp(signal), false);
  markLookUp(signal);
  assertEquals(isLookUp(signal), true);
  assertEquals(isLookUp(new AbortController().signal), false);
  assertEquals(isLookUp(undefined), false);
});

Deno.test("isLookUp() still knows a signal that was aborted", () => {
  const controller = new AbortController();
  markLookUp(controller.signal);
  controller.abort();
  assertEquals(isLookUp(controller.signal), true);
});
