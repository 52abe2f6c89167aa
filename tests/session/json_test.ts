import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decimal, parseJson, tryJson, writeJson } from "../../session/json.ts";
import { RequestError } from "../../session/request_error.ts";

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

Deno.test("parseJson() keeps the digits of an integer beyond 2^53 wherever it stands", () => {
  for (let before = 0; before < 40; before++) {
    for (const digits of ["9007199254740993", "-9007199254740993", "123456789012345678901234"]) {
      for (const after of ["", " ", ",1", `,"${"x".repeat(20)}"`]) {
        const [pad, id] = parseJson(`["${"x".repeat(before)}",${digits}${after}]`) as unknown[];
        assertEquals([pad, id], ["x".repeat(before), BigInt(digits)]);
      }
    }
    assertEquals(parseJson(`["${"1 ".repeat(before)}",999999999999999]`), [
      "1 ".repeat(before),
      999999999999999,
    ]);
  }
});

Deno.test("tryJson() returns what is no JSON as it is", () => {
  assertEquals(tryJson("<html>"), "<html>");
  assertEquals(tryJson(""), "");
  assertEquals(tryJson('{"id":9007199254740993}'), { id: 9007199254740993n });
});

Deno.test("decimal() writes a number with the digits that it has, and without an exponent", () => {
  for (
    const [value, text] of [
      [1e-7, "0.0000001"],
      [-1.5e-7, "-0.00000015"],
      [1e21, "1000000000000000000000"],
      [-1.234e25, "-12340000000000000000000000"],
      [1.7976931348623157e308, `17976931348623157${"0".repeat(292)}`],
      [5e-324, `0.${"0".repeat(323)}5`],
      [123.456, "123.456"],
      [1e-6, "0.000001"],
      [-0, "0"],
      [2n ** 70n, "1180591620717411303424"],
    ] as const
  ) assertEquals(decimal(value), text);
});

Deno.test("property: decimal() loses nothing and holds digits only", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      const text = decimal(value);
      assert(/^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text), text);
      assertEquals(Number(text), value === 0 ? 0 : value);
    }),
    { numRuns: 5_000 },
  );
});

class Order {
  symbol = "INFY";
  price = 1e-7;
  #secret = 1;
  get secret() {
    return this.#secret;
  }
}

class Money {
  #paise = 150;
  toJSON(key: string) {
    return `${key} ${this.#paise / 100}`;
  }
}

Deno.test("writeJson() writes what JSON can say", () => {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  const shared = { a: 1 };
  for (
    const [value, text] of [
      [{ id: 9007199254740993n, of: [-1n] }, '{"id":9007199254740993,"of":[-1]}'],
      [
        { a: 1e-7, b: [1e21, -2.5e-9] },
        '{"a":0.0000001,"b":[1000000000000000000000,-0.0000000025]}',
      ],
      [{ a: undefined, b: null }, '{"b":null}'],
      [new Order(), '{"symbol":"INFY","price":0.0000001}'],
      [{ price: new Money() }, '{"price":"price 1.5"}'],
      [[new Money()], '["0 1.5"]'],
      [new Date(0), '"1970-01-01T00:00:00.000Z"'],
      [new URL("https://venue.example/"), '"https://venue.example/"'],
      [
        { a: Object(1e-7), b: Object("x"), c: Object(false), d: Object(7n) },
        '{"a":0.0000001,"b":"x","c":false,"d":7}',
      ],
      [{ price: rawJSON("1.10") }, '{"price":1.10}'],
      [Object.create(null), "{}"],
      [[shared, shared], '[{"a":1},{"a":1}]'],
      [null, "null"],
      ["é\n\ud800", '"é\\n\\ud800"'],
    ] as [unknown, string][]
  ) assertEquals(writeJson(value), text);
});

Deno.test("property: writeJson() writes what JSON.stringify does, where that says all", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assertEquals(JSON.parse(writeJson(value)), JSON.parse(JSON.stringify(value)));
      if (!/\de[+-]/.test(JSON.stringify(value))) {
        assertEquals(writeJson(value), JSON.stringify(value));
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("writeJson() refuses what JSON cannot say, and names its path and never its value", () => {
  const circle: Record<string, unknown> = {};
  circle.deep = [circle];
  const keyed = Object.assign(new Map([["hunter2", 1]]), { own: 1 });
  for (
    const [value, path] of [
      [{ price: NaN }, "json.price is"],
      [{ price: -Infinity }, "json.price is"],
      [{ a: [{ b: Infinity }] }, "json.a[0].b is"],
      [{ at: new Date("hunter2") }, "json.at is"],
      [{ "x-y": { when: new Date(NaN) } }, 'json["x-y"].when is'],
      [{ m: new Map([["hunter2", 2]]) }, "json.m is of the type Map"],
      [keyed, "json is of the type Map"],
      [{ s: new Set(["hunter2"]) }, "json.s is of the type Set"],
      [[/hunter2/], "json[0] is of the type RegExp"],
      [{ token: Promise.resolve("hunter2") }, "json.token is of the type Promise"],
      [{ f: () => "hunter2" }, "json.f is a function"],
      [{ s: Symbol("hunter2") }, "json.s is a symbol"],
      [{ w: new WeakMap() }, "json.w is of the type WeakMap"],
      [{ w: new WeakRef({}) }, "json.w is of the type WeakRef"],
      [{ e: new Error("hunter2") }, "json.e is of the type Error"],
      [{ b: new Uint8Array([1]) }, "json.b is of the type Uint8Array"],
      [{ b: new Float64Array(2) }, "json.b is of the type Float64Array"],
      [{ b: new ArrayBuffer(2) }, "json.b is of the type ArrayBuffer"],
      [{ b: new DataView(new ArrayBuffer(2)) }, "json.b is of the type DataView"],
      [{ p: new URLSearchParams("a=hunter2") }, "json.p is of the type URLSearchParams"],
      [{ h: new Headers({ a: "hunter2" }) }, "json.h is"],
      [{ b: new Blob(["hunter2"]) }, "json.b is of the type Blob"],
      [{ c: new (class Empty {})() }, "json.c is"],
      [{ g: (function* () {})() }, "json.g is of the type Generator"],
      [{ n: Object(NaN) }, "json.n is no finite number"],
      [{ s: Object(Symbol("hunter2")) }, "json.s is"],
      [{ list: [1, undefined] }, "json.list[1] is undefined in a list"],
      [{ list: Array(2) }, "json.list[0] is undefined in a list"],
      [{ a: { toJSON: () => NaN } }, "json.a is no finite number"],
      [circle, "json.deep[0] is circular"],
      [{ list: [{ not: "here" }, circle] }, "json.list[1].deep[0] is circular"],
    ] as [unknown, string][]
  ) {
    const error = assertThrows(() => writeJson(value), RequestError, path);
    assert(!Deno.inspect(error).includes("hunter2"));
  }
});

Deno.test("writeJson() refuses no value at all, and one whose parts throw, without quoting them", () => {
  const deep: unknown[] = [];
  let inner = deep;
  for (let i = 0; i < 50_000; i++) inner.push(inner = []);
  const hostile = {
    get a() {
      throw new Error("hunter2");
    },
  };
  const toJSON = () => {
    throw new Error("hunter2");
  };
  for (
    const value of [undefined, () => {}, hostile, { toJSON }, {
      toJSON: () => undefined,
    }, deep]
  ) {
    const error = assertThrows(() => writeJson(value), RequestError);
    assertStringIncludes(error.message, "Cannot encode json");
    assert(!Deno.inspect(error).includes("hunter2"));
  }
});
