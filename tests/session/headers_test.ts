import { assert, assertEquals, assertThrows } from "@std/assert";
import { SafeHeaders } from "../../session/headers.ts";
import { RequestError } from "../../session/request_error.ts";

Deno.test("SafeHeaders refuses a value that is no text: undefined, null, a forgotten await, an object", () => {
  for (
    const value of [
      undefined,
      null,
      NaN,
      {},
      { key: "hunter2" },
      Promise.resolve("hunter2"),
      () => "hunter2",
      Symbol("hunter2"),
      new Map(),
      new Blob(["hunter2"]),
    ] as never[]
  ) {
    const headers = new SafeHeaders();
    for (
      const set of [
        () => headers.set("x-key", value),
        () => headers.append("x-key", value),
        () => new SafeHeaders({ "x-key": value }),
        () => new SafeHeaders([["x-key", value]]),
      ]
    ) {
      const error = assertThrows(set, RequestError, "Cannot set the header x-key: its value is");
      assert(!Deno.inspect(error).includes("hunter2"));
    }
    assertEquals([...headers], []);
  }
});

Deno.test("SafeHeaders takes text, numbers and what has a text of its own", () => {
  const headers = new SafeHeaders();
  for (
    const [value, text] of [
      ["x", "x"],
      ["", ""],
      [5, "5"],
      [1e-7, "0.0000001"],
      [2n ** 64n, "18446744073709551616"],
      [true, "true"],
      [new URL("https://venue.example/"), "https://venue.example/"],
      [["a", "b"], "a,b"],
    ] as [never, string][]
  ) {
    headers.set("x-key", value);
    assertEquals(headers.record, { "x-key": text });
  }
});

Deno.test("SafeHeaders refuses a malformed name or value without quoting the value", () => {
  for (const value of ["hunter2\n", "hunter2\0", "hunter2 €", "\x7fhunter2"]) {
    const error = assertThrows(() => new SafeHeaders({ "x-key": value }), RequestError, "x-key");
    assert(!Deno.inspect(error).includes("hunter2"));
  }
  for (const name of ["", "a b", "a:b", "é", "a\n"]) {
    const error = assertThrows(() => new SafeHeaders({ [name]: "hunter2" }), RequestError);
    assert(!Deno.inspect(error).includes("hunter2"));
  }
});

Deno.test("SafeHeaders shows names and no values in a log", () => {
  const headers = new SafeHeaders({ "x-key": "hunter2" });
  for (const text of [Deno.inspect(headers), JSON.stringify({ headers }), `${headers}`]) {
    assert(!text.includes("hunter2"), text);
  }
});

Deno.test("SafeHeaders.record is that of now, after set(), append() and delete()", () => {
  const headers = new SafeHeaders({ a: "1" });
  assertEquals(headers.record, { a: "1" });
  headers.set("b", "2");
  assertEquals(headers.record, { a: "1", b: "2" });
  headers.append("b", "3");
  assertEquals(headers.record, { a: "1", b: "2, 3" });
  headers.delete("a");
  assertEquals(headers.record, { b: "2, 3" });
});
