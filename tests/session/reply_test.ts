import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  checkWhole,
  decode,
  readBytes,
  readRefusal,
  readText,
  showsEnd,
} from "../../session/reply.ts";
import { ReplyError } from "../../session/reply_error.ts";

const MAX = 1_000_000;

function typed(body: BodyInit | null, type: string, init: ResponseInit = {}): Response {
  const headers = { ...init.headers as Record<string, string>, "content-type": type };
  return new Response(body, { ...init, headers });
}

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const utf16 = (text: string, isBig: boolean) =>
  Uint8Array.from(
    [...text].flatMap((char) => {
      const code = char.charCodeAt(0);
      return isBig ? [code >> 8, code & 255] : [code & 255, code >> 8];
    }),
  );

Deno.test("decode() goes by the type of the answer", async () => {
  for (
    const [type, body, data] of [
      ["application/json", '{"a":1}', { a: 1 }],
      ["application/problem+json", "[1]", [1]],
      ["application/vnd.venue+json; charset=utf-8", "null", null],
      ["text/json", "7", 7],
      ["text/plain", '{"a":1}', { a: 1 }],
      ["text/plain; charset=utf-8", "OK", "OK"],
      ["text/html", '{"a":1}', { a: 1 }],
      ["text/csv", '{"a":1}', '{"a":1}'],
      ["text/xml", "<a/>", "<a/>"],
      ["application/xml", "<a/>", "<a/>"],
      ["application/octet-stream", "ab", new Uint8Array([97, 98])],
      ["application/zip", "", new Uint8Array()],
      ["", '{"id":9007199254740993}', { id: 9007199254740993n }],
    ] as [string, string, unknown][]
  ) assertEquals(await decode(typed(body, type), MAX), data, type);
});

Deno.test("decode() goes by parse where that is given, whatever the type says", async () => {
  for (
    const [parse, data] of [
      ["text", '{"a":1}'],
      ["json", { a: 1 }],
      ["bytes", new TextEncoder().encode('{"a":1}')],
      [(text: string) => text.length, 7],
      [(text: string) => Promise.resolve(text.length), 7],
    ] as const
  ) {
    for (const type of ["application/json", "application/octet-stream", "text/csv", "text/html"]) {
      assertEquals(await decode<unknown>(typed('{"a":1}', type), MAX, parse), data);
    }
  }
});

Deno.test("decode() says what was not due", async () => {
  for (
    const [body, type, parse, words] of [
      ["", "application/json", undefined, "empty"],
      ["{", "application/json", undefined, "not JSON"],
      ["<html>", "text/html", undefined, "not JSON"],
      ["OK", "", "json", "not JSON"],
      ["x", "text/csv", () => {
        throw new RangeError("hunter2");
      }, "parse() threw RangeError"],
    ] as const
  ) {
    const error = await assertRejects(
      () => decode(typed(body, type), MAX, parse),
      ReplyError,
      words,
    );
    assertEquals([error.kind, error.text], ["decode", body]);
    assert(!error.message.includes("hunter2"));
  }
});

Deno.test("decode() takes an empty 201 or 202 for undefined", async () => {
  for (const status of [201, 202]) {
    for (const type of ["", "application/json", "text/plain", "application/octet-stream"]) {
      for (const body of ["", null]) {
        assertEquals(
          await decode(typed(body, type, { status }), MAX),
          undefined,
          `${status} ${type}`,
        );
      }
    }
    const never = () => {
      throw new Error("called");
    };
    assertEquals(await decode(new Response("", { status }), MAX, never), undefined);
    assertEquals(await decode(new Response("", { status }), MAX, "json"), undefined);
    assertEquals(await decode<unknown>(new Response("", { status }), MAX, "text"), "");
    assertEquals(
      await decode<unknown>(new Response("", { status }), MAX, "bytes"),
      new Uint8Array(),
    );
    assertEquals(await decode(Response.json({ id: 1 }, { status }), MAX), { id: 1 });
  }
  for (const status of [200, 203, 206]) {
    await assertRejects(() => decode(new Response("", { status }), MAX), ReplyError, "empty");
  }
});

Deno.test("decode() shows JSON under another type, so that an error in it is found", async () => {
  const envelope = '{"status":"error","code":7}';
  for (
    const [type, parse] of [
      ["application/octet-stream", undefined],
      ["binary/octet-stream", undefined],
      ["text/csv", undefined],
      ["application/json", "text"],
      ["application/json", "bytes"],
      ["text/csv", (text: string) => text.split("\n")],
      ["text/html", "text"],
    ] as const
  ) {
    for (const body of [envelope, ` \r\n${envelope}`, `\ufeff${envelope}`, `[${envelope}]`]) {
      const seen: unknown[] = [];
      await decode<unknown>(typed(body, type), MAX, parse, (data) => seen.push(data));
      const data = JSON.parse(envelope);
      assertEquals(seen, [body.startsWith("[") ? [data] : data], `${type} ${body}`);
    }
    const own = new Error("the venue's own");
    const look = () => {
      throw own;
    };
    const thrown = await assertRejects(() =>
      decode<unknown>(typed(envelope, type), MAX, parse, look)
    );
    assertStrictEquals(thrown, own);
  }
});

Deno.test("decode() shows nothing that is no JSON, that is too long for an error, or that is decoded as JSON", async () => {
  const look = () => {
    throw new Error("shown");
  };
  for (
    const [body, type] of [
      ["{not json", "application/octet-stream"],
      ["[1,2", "text/csv"],
      ["a,b\n{}", "text/csv"],
      [`[${"1,".repeat(40_000)}1]`, "application/octet-stream"],
      ['{"a":1}', "application/json"],
      ['{"a":1}', "text/plain"],
      ["", "text/csv"],
    ]
  ) await decode<unknown>(typed(body, type), MAX, undefined, look);
});

Deno.test("readText() decodes as declared, and a byte order mark counts more", async () => {
  const text = "Zürich: 5 £";
  for (
    const [bytes, type] of [
      [latin1(text), "text/csv; charset=iso-8859-1"],
      [latin1(text), "text/csv;charset=LATIN1"],
      [latin1(text), 'application/json; charset="windows-1252"; x=y'],
      [utf16(text, false), "text/plain; charset=utf-16le"],
      [utf16(`\ufeff${text}`, false), "text/csv"],
      [utf16(`\ufeff${text}`, true), "text/csv; charset=utf-8"],
      [new TextEncoder().encode(`\ufeff${text}`), "text/csv; charset=iso-8859-1"],
      [new TextEncoder().encode(`\ufeff${text}`), "text/csv"],
      [new TextEncoder().encode(text), "text/csv; charset=utf8"],
      [new TextEncoder().encode(text), "text/csv; charset=none-such"],
      [new TextEncoder().encode(text), "text/csv; charset="],
      [new TextEncoder().encode(text), ""],
    ] as const
  ) assertEquals(await readText(typed(bytes, type), MAX), text, type);
});

Deno.test("readBytes() holds at most its limit, and says so", async () => {
  const chunks = () =>
    new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(400)), // never ends
    });
  for (
    const response of [
      new Response(chunks()),
      new Response("x".repeat(1_001), { headers: { "content-length": "1001" } }),
      new Response("x".repeat(1_001), { headers: { "content-length": "2" } }),
      new Response(chunks(), { headers: { "content-encoding": "gzip", "content-length": "9" } }),
      new Response(chunks(), {
        headers: { "transfer-encoding": "chunked", "content-length": "9" },
      }),
    ]
  ) {
    const error = await assertRejects(() => readBytes(response, 1_000), ReplyError);
    assertEquals([error.kind, error.message], [
      "too-large",
      "the answer is longer than 1000 bytes",
    ]);
  }
  assertEquals((await readBytes(new Response("x".repeat(1_000)), 1_000)).length, 1_000);
});

Deno.test("readBytes() puts chunks together in the order in which they came", async () => {
  const parts = ["one ", "two ", "three"].map((text) => new TextEncoder().encode(text));
  const body = new ReadableStream({
    pull: (controller) => parts.length ? controller.enqueue(parts.shift()) : controller.close(),
  });
  const bytes = await readBytes(new Response(body), 1_000);
  assertEquals(new TextDecoder().decode(bytes), "one two three");
});

Deno.test("readBytes() refuses a body that is shorter than its headers promise", async () => {
  for (
    const [size, headers, isWhole] of [
      [9, { "content-length": "10" }, false],
      [0, { "content-length": "1" }, false],
      [10, { "content-length": "10" }, true],
      [9, { "content-length": "10", "content-encoding": "identity" }, false],
      [9, { "content-length": "10", "content-encoding": "gzip" }, true],
      [9, { "content-length": "10", "transfer-encoding": "chunked" }, true],
      [0, { "content-encoding": "gzip" }, false],
      [0, { "content-encoding": "br", "content-length": "0" }, false],
      [0, { "content-encoding": "gzip", "content-length": "20" }, true],
      [0, {}, true],
      [9, { "content-length": "10, 10" }, true],
    ] as [number, Record<string, string>, boolean][]
  ) {
    const given = JSON.stringify({ size, headers });
    const response = new Response("x".repeat(size), { headers });
    if (isWhole) {
      checkWhole(response, size);
      continue;
    }
    const error = await assertRejects(
      () => readBytes(response, MAX),
      ReplyError,
      "ended early",
      given,
    );
    assertEquals([error.kind, error.details.worthwhile], ["network", true], given);
  }
});

Deno.test("checkWhole() refuses on Deno what Deno does not undo", () => {
  const check = (encoding: string) =>
    checkWhole(new Response("", { headers: { "content-encoding": encoding } }), 9);
  for (const encoding of ["deflate", "x-gzip", "zstd", "gzip, gzip", "gzip, br", "compress"]) {
    assertThrows(() => check(encoding), ReplyError, "Deno does not undo");
  }
  for (const encoding of ["gzip", "GZIP", "br", "identity", " gzip "]) check(encoding);
});

Deno.test("showsEnd() says that JSON shows its end, and a text or bytes do not", () => {
  for (const data of [{}, [], null, 1, true, undefined]) assert(showsEnd(data));
  for (const data of ["text", new Uint8Array(1)]) assert(!showsEnd(data));
  assert(showsEnd("a JSON string", "json"));
  for (const parse of ["text", "bytes", (text: string) => ({ text })] as const) {
    assert(!showsEnd({}, parse));
    assert(showsEnd(undefined, parse), "no body, no end");
  }
});

Deno.test("decode() refuses JSON that is shorter than its headers promise", async () => {
  const json = (length: number, body: string) =>
    new Response(body, { headers: { "content-length": `${length}`, "content-type": "text/json" } });
  for (
    const [length, body] of [[20, '{"a":1}'], [7, ""], [30, '{"a":"é"}'], [12, "[1,2"]] as const
  ) {
    await assertRejects(() => decode(json(length, body), MAX), ReplyError, "ended early");
  }
  assertEquals(await decode(json(7, '{"a":1}'), MAX), { a: 1 });
  assertEquals(await decode(json(10, '{"a":"é"}'), MAX), { a: "é" });
  assertEquals(await decode(json(10, '\ufeff{"a":1}'), MAX), { a: 1 }, "with a byte order mark");
});

Deno.test("readRefusal() reads an error's words, and none where they cannot be had", async () => {
  assertEquals(await readRefusal(new Response("no", { status: 400 }), MAX), "no");
  assertEquals(await readRefusal(new Response("x".repeat(9), { status: 500 }), 8), "");
  assertEquals(await readRefusal(new Response("no", { status: 302 }), MAX), "");
  const latin = typed(latin1("für"), "text/plain; charset=latin1", { status: 400 });
  assertEquals(await readRefusal(latin, MAX), "für");
});
