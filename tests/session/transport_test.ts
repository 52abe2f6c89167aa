import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import type { RuntimeName } from "../../platform/runtime.ts";
import type { Outgoing } from "../../session/body.ts";
import { ReplyError } from "../../session/reply_error.ts";
import { type Sending, Transport, type TransportOptions } from "../../session/transport.ts";
import { Session } from "../../session.ts";
import { LoopbackVenue } from "../../testing.ts";

const ORDER: Sending = { method: "POST", isSafe: false, isIdempotent: false };
const CANCEL: Sending = { method: "DELETE", isSafe: false, isIdempotent: false };
const UPDATE: Sending = { method: "PUT", isSafe: false, isIdempotent: true };
const READ: Sending = { method: "GET", isSafe: true, isIdempotent: true };
const RUNTIMES: RuntimeName[] = ["deno", "node", "bun", "workerd", "unknown"];

const own = { fetch: () => Promise.resolve(new Response()) };

function transport(
  name: RuntimeName,
  options: TransportOptions = {},
  version = "9.9.9",
): Transport {
  return new Transport(options, { name, version });
}

function out(body?: Outgoing["body"]): Outgoing {
  return { url: "http://127.0.0.1/", headers: { a: "1" }, body };
}

/** What an init would send. */
async function sent({ body }: RequestInit): Promise<string> {
  return await new Response(body).text();
}

Deno.test("Transport sends the same bytes on every runtime", async () => {
  const bytes = new TextEncoder().encode("é1");
  for (const name of RUNTIMES) {
    for (const options of [{}, own]) {
      const transported = transport(name, options);
      for (const body of ["é1", bytes, new Blob([bytes])]) {
        assertEquals(await sent(transported.toInit(out(body), ORDER)), "é1");
      }
      assertEquals(await sent(transported.toInit(out(), ORDER)), "");
      assertEquals(await sent(transported.toInit(out(""), ORDER)), "");
      assertEquals(transported.toInit(out(), READ).body, undefined);
    }
  }
});

Deno.test("Transport gives each runtime the body that it sends once", () => {
  for (const [name, body] of [["deno", Blob], ["bun", Blob], ["workerd", Blob]] as const) {
    assertInstanceOf(transport(name).toInit(out("x"), ORDER).body, body);
  }
  const node = transport("node").toInit(out("é"), ORDER) as RequestInit & { duplex: string };
  assertInstanceOf(node.body, ReadableStream);
  assertEquals(node.headers, {
    a: "1",
    "accept-encoding": "identity",
    "content-length": "2",
  });
  assertEquals(node.duplex, "half");
  for (const name of ["deno", "bun"] as const) {
    assertInstanceOf(transport(name).toInit(out(), CANCEL).body, Blob);
  }
  assertInstanceOf(transport("workerd").toInit(out(), CANCEL).body, ReadableStream);
  assertInstanceOf(transport("workerd").toInit(out(), UPDATE).body, ReadableStream);
});

Deno.test("Transport sends a body on Deno that is a whole Blob", async () => {
  const { body } = transport("deno").toInit(out("hello"), ORDER);
  assertInstanceOf(body, Blob);
  assertEquals([body.size, body.type], [5, ""]);
  assertEquals(await body.text(), "hello");
  assertEquals(await body.slice(1, 3).text(), "el");
  assertEquals((await body.arrayBuffer()).byteLength, 5);
  assertEquals((await body.bytes()).length, 5);
  assertEquals(await new Response(body.stream()).text(), "hello");
});

Deno.test("Transport follows no redirect, whatever fetchOptions say", () => {
  const fetchOptions = { redirect: "follow", method: "GET", headers: {}, client: 1 };
  for (const name of RUNTIMES) {
    const init = transport(name, { fetchOptions }).toInit(out("x"), ORDER);
    assertEquals([init.redirect, init.method], ["manual", "POST"]);
    assertEquals((init as { client?: number }).client, 1);
    assertEquals((init.headers as Record<string, string>).a, "1");
  }
});

Deno.test("Transport asks Bun for a connection of its own where Bun would repeat", () => {
  const keepalive = (method: string, version: string, isSafe = false) =>
    transport("bun", {}, version).toInit(out(), { method, isSafe, isIdempotent: isSafe }).keepalive;
  for (const version of ["1.2.0", "1.3.11", "1.4.5"]) {
    assertEquals(keepalive("PUT", version), false);
    assertEquals(keepalive("DELETE", version), false);
    assertEquals(keepalive("POST", version), version === "1.4.5" ? undefined : false);
    assertEquals(keepalive("GET", version, true), undefined);
  }
});

Deno.test("Transport refuses an order in words where nothing is known of the runtime", () => {
  for (const name of RUNTIMES) {
    for (const sending of [ORDER, CANCEL, UPDATE, READ]) {
      const isRefused = name === "unknown" && !sending.isIdempotent;
      const refusal = transport(name).refusal(sending);
      assertEquals(refusal !== undefined, isRefused);
      if (refusal) assertStringIncludes(refusal, "a fetch of the session's own");
      assertEquals(transport(name, own).refusal(sending), undefined);
    }
  }
});

Deno.test("Transport says where a runtime may repeat what is idempotent", () => {
  for (const name of RUNTIMES) {
    for (const body of [undefined, "x"]) {
      const mayRepeat = name === "unknown" || name === "deno" && body === undefined;
      assertEquals(transport(name).mayRepeat(body, UPDATE), mayRepeat);
      assertEquals(transport(name).mayRepeat(body, ORDER), false);
      assertEquals(transport(name).mayRepeat(body, READ), false);
    }
    assertEquals(transport(name, own).mayRepeat("x", UPDATE), false);
  }
});

Deno.test("Transport lets an order wait on Deno and Node, and none with a fetch of the session's own", async () => {
  for (const name of RUNTIMES) {
    const wait = transport(name).ready(ORDER);
    assertEquals(wait !== undefined, name === "deno" || name === "node");
    assertEquals(transport(name).ready(READ), undefined);
    assertEquals(transport(name, own).ready(ORDER), undefined);
    await wait;
  }
});

Deno.test("Transport.send() gives fetch the URL, the body and the signal", async () => {
  const calls: [unknown, RequestInit][] = [];
  const fetch = (url: unknown, init: RequestInit) => {
    calls.push([url, init]);
    return Promise.resolve(new Response("done"));
  };
  const { signal } = new AbortController();
  const options = { fetch: fetch as typeof globalThis.fetch };
  const response = await transport("deno", options).send(out("x"), ORDER, signal);
  assertEquals(await response.text(), "done");
  const [[url, init]] = calls;
  assertEquals(url, "http://127.0.0.1/");
  assert(init.signal === signal);
  assertEquals(await sent(init), "x");
});

Deno.test("Transport asks Node alone for bodies that are not compressed, unless the caller asks for others", () => {
  for (const name of RUNTIMES) {
    const { headers } = transport(name).toInit(out(undefined), READ);
    assertEquals(headers, name === "node" ? { a: "1", "accept-encoding": "identity" } : { a: "1" });
  }
  const asked = { ...out(undefined), headers: { "accept-encoding": "gzip" } };
  assertEquals(transport("node").toInit(asked, READ).headers, asked.headers);
});

Deno.test("Transport.checkEnd() refuses compression on Node, unless the call has asked for it", () => {
  const packed = (encoding: string) =>
    new Response("", { headers: { "content-encoding": encoding } });
  for (const encoding of ["gzip", "br", "deflate", "x-gzip", "zstd", "gzip, br"]) {
    const check = (name: RuntimeName, headers: Record<string, string> = {}) =>
      transport(name).checkEnd({ ...out(undefined), headers }, packed(encoding));
    assertThrows(() => check("node"), ReplyError, "Node does not tell whether it is whole");
    check("node", { "accept-encoding": encoding });
    for (const name of RUNTIMES) if (name !== "node") check(name);
  }
  transport("node").checkEnd(out(undefined), packed("identity"));
  transport("node").checkEnd(out(undefined), new Response(""));
});

Deno.test("Session lets no order wait right after an answer", async () => {
  const real = globalThis.fetch;
  let sent = 0;
  globalThis.fetch = () => Promise.resolve(Response.json(++sent));
  try {
    let atOnce = 0;
    for (let i = 0; i < 100; i++) { // a slow machine may need more than 2 ms now and then
      await using session = new Session({ baseUrl: "https://venue.example" });
      await session.get("orders");
      const before = sent;
      const order = session.post("orders");
      for (let turn = 0; turn < 100; turn++) await null;
      if (sent > before) atOnce++;
      await order;
    }
    assert(atOnce > 0, "each order has waited");
  } finally {
    globalThis.fetch = real;
  }
});

Deno.test("Session refuses an order in words in a runtime that it does not know, and sends nothing", async () => {
  await using venue = (await LoopbackVenue.listen()).on("*", {});
  const baseUrl = venue.httpUrl;
  const worker = new Worker(new URL("browser_worker.ts", import.meta.url), { type: "module" });
  const answer = () =>
    new Promise<Record<string, string>>((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
    });
  await answer(); // it is ready
  for (const method of ["POST", "DELETE", "PATCH"]) {
    const error = answer();
    worker.postMessage({ method, baseUrl });
    const { kind, outcome, message } = await error;
    assertEquals([kind, outcome, venue.requests], ["invalid", "not-sent", []]);
    assertStringIncludes(message, "may send an order twice by itself");
  }
  const read = answer();
  worker.postMessage({ method: "GET", baseUrl });
  assertEquals((await read).kind, undefined); // a GET goes out
  assertEquals(venue.requests.length, 1);
  worker.terminate();
});
