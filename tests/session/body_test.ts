import { assert, assertEquals, assertThrows } from "@std/assert";
import { checkBody, encodeBody, encodeForm, encodeFormData } from "../../session/body.ts";
import { RequestError } from "../../session/request_error.ts";

Deno.test("encodeForm() writes numbers without an exponent, and lists by repeating their name", () => {
  for (
    const [form, text] of [
      [{ p: 1e-7, q: 1e21 }, "p=0.0000001&q=1000000000000000000000"],
      [{ p: [-1e-9, 2n ** 64n] }, "p=-0.000000001&p=18446744073709551616"],
      [new Map([["q", 5e-8]]), "q=0.00000005"],
      [[["a", 1e23], ["b", true]], "a=100000000000000000000000&b=true"],
      [{ a: undefined, b: null, c: [undefined, "x"] }, "c=x"],
      [{ a: "1e-7" }, "a=1e-7"],
      [new URLSearchParams("a=b+c"), "a=b+c"],
    ] as [object, string][]
  ) assertEquals(encodeForm(form, "form").toString(), text);
});

Deno.test("encodeForm() refuses a value that a form cannot say, and names its path and never its value", () => {
  for (
    const [form, path] of [
      [{ price: NaN }, "form.price is no finite number"],
      [{ price: [1, -Infinity] }, "form.price is no finite number"],
      [{ at: new Date(0) }, "form.at is a object"],
      [{ a: { hunter2: 1 } }, "form.a is"],
      [{ a: [["hunter2"]] }, "form.a is"],
      [{ a: () => "hunter2" }, "form.a is a function"],
      [{ a: Symbol("hunter2") }, "form.a is a symbol"],
      ["key=hunter2", "it is a string"],
      [7, "it is a number"],
    ] as [object, string][]
  ) {
    const error = assertThrows(() => encodeForm(form, "form"), RequestError, path);
    assert(!error.message.includes("hunter2"));
  }
});

Deno.test("encodeBody() copies bytes, those of a Node Buffer too, as they may change while the call waits", async () => {
  const { Buffer } = await import("node:buffer");
  for (
    const bytes of [
      new Uint8Array([1, 2]),
      Buffer.from([1, 2]),
      new Uint8Array([0, 1, 2]).subarray(1),
    ]
  ) {
    const { body } = encodeBody({ body: bytes as Uint8Array<ArrayBuffer> });
    bytes.fill(9);
    assertEquals([...body as Uint8Array], [1, 2]);
  }
});

Deno.test("encodeBody() gives each kind of body its type", () => {
  const form = new FormData();
  const blob = new Blob(["x"]);
  for (
    const [given, body, type] of [
      [{ json: { a: 1 } }, '{"a":1}', "application/json"],
      [{ form: { a: 1 } }, "a=1", "application/x-www-form-urlencoded;charset=UTF-8"],
      [
        { body: new URLSearchParams("a=1") },
        "a=1",
        "application/x-www-form-urlencoded;charset=UTF-8",
      ],
      [{ body: "x" }, "x", "text/plain;charset=UTF-8"],
      [{ body: form }, form, undefined],
      [{ body: blob }, blob, undefined],
      [{}, undefined, undefined],
    ] as const
  ) assertEquals(encodeBody(given), { body, type });
  const { type } = encodeBody({ body: new Blob(["x"], { type: "text/csv" }) });
  assertEquals(type, "text/csv");
});

Deno.test("encodeBody() refuses two bodies, and checkBody() what cannot be sent again", () => {
  assertThrows(() => encodeBody({ json: 1, form: {} }), RequestError, "one of json, form and body");
  for (
    const body of [new ReadableStream(), {}, 7, null, new Uint16Array(1), new Response("x").body]
  ) {
    assertThrows(() => checkBody(body), RequestError, "Cannot send the body");
  }
  assertEquals(checkBody(new Uint8Array([1]).buffer), new Uint8Array([1]));
});

Deno.test("encodeFormData() awaits the encoding, and keeps the case of the boundary", async () => {
  const form = new FormData();
  form.set("a", "1");
  form.set("file", new File(["x,y"], "orders.csv"));
  const headers: Record<string, string> = {};
  const blob = await encodeFormData(form, headers);
  assert(blob instanceof Blob);
  const parsed = await new Response(await blob.bytes(), { headers }).formData();
  assertEquals(parsed.get("a"), "1");
  assertEquals(await (parsed.get("file") as File).text(), "x,y");
});
