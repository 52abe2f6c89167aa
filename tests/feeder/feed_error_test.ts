import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { type Ending, FeedError } from "../../feeder/feed_error.ts";

Deno.test("FeedError is not fatal, has no uptime and no cause, unless told so", () => {
  const error = new FeedError("Cannot do it");
  assertInstanceOf(error, Error);
  assertEquals(error.name, "FeedError");
  assertEquals(error.message, "Cannot do it");
  assertEquals([error.fatal, error.retriable, error.uptime], [false, true, 0]);
  assertEquals(error.ending, undefined);
  assert(!("cause" in error));
});

Deno.test("FeedError says whether another attempt is pointless, how long it had been live and how it ended", () => {
  const ending: Ending = { code: 4401, reason: "expired", clean: true, opened: true };
  const cause = new Error("why");
  const error = new FeedError("Cannot do it", { fatal: true, uptime: 7, ending, cause });
  assertEquals([error.fatal, error.retriable, error.uptime], [true, false, 7]);
  assertStrictEquals(error.ending, ending);
  assertStrictEquals(error.cause, cause);
});
