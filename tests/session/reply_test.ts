import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import fc from "fast-check";
import { parseJson } from "../../session/json.ts";
import { retryAfter } from "../../session/refusal.ts";

Deno.test("retryAfter() takes a two-digit year for the nearest one that is not 50 years ahead", () => {
  using _time = new FakeTime(Date.UTC(2026, 0, 1));
  assertEquals(retryAfter("Thursday, 01-Jan-26 00:00:10 GMT"), 10_000);
  assertEquals(retryAfter("Friday, 01-Jan-27 00:00:00 GMT"), 365 * 86_400_000);
  assertEquals(retryAfter("Sunday, 01-Jan-77 00:00:00 GMT"), 0, "1977");
  assertGreaterOrEqual(retryAfter("Wednesday, 01-Jan-76 00:00:00 GMT")!, 49 * 365 * 86_400_000);
});

Deno.test("property: JSON is read as it was written, integers of any size included", () => {
  const integer = fc.bigInt({ min: -(2n ** 90n), max: 2n ** 90n });
  const leaf = fc.oneof(
    integer,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie("tree")),
      fc.dictionary(fc.string(), tie("tree"), { noNullPrototype: true }),
    ),
  }));
  const write = (value: unknown): string =>
    typeof value === "bigint"
      ? `${value}`
      : Array.isArray(value)
      ? `[${value.map(write).join()}]`
      : Object(value) === value
      ? `{${
        Object.entries(value as object).map(([key, item]) =>
          `${JSON.stringify(key)}:${write(item)}`
        ).join()
      }}`
      : JSON.stringify(value);
  const expected = (value: unknown): unknown =>
    typeof value === "bigint"
      ? Number.isSafeInteger(Number(value)) ? Number(value) : value
      : typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(`${value}`)
      ? BigInt(`${value}`)
      : Array.isArray(value)
      ? value.map(expected)
      : Object(value) === value
      ? Object.fromEntries(
        Object.entries(value as object).map(([key, item]) => [key, expected(item)]),
      )
      : Object.is(value, -0)
      ? 0
      : value;
  fc.assert(fc.property(tree, (value) => assertEquals(parseJson(write(value)), expected(value))), {
    numRuns: 1_000,
  });
});
