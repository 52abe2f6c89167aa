import { assertEquals } from "@std/assert";
import {
  HalfRead,
  head,
  parseRequest,
  readFrames,
  upgrade,
  wireFrame,
} from "../../testing/wire.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("parseRequest() takes whole requests off, however they are cut", () => {
  const text =
    "POST /orders?a=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhällGET /x HTTP/1.1\r\n\r\n" +
    "PUT /y HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  for (const size of [1, 7, 1_000]) {
    const left = new HalfRead();
    const found: string[] = [];
    const all = bytes(text);
    for (let at = 0; at < all.length; at += size) {
      left.add(all.slice(at, at + size));
      for (let next = parseRequest(left); next; next = parseRequest(left)) {
        found.push(`${next.method} ${next.target} ${next.headers.get("host")} ${next.body}`);
      }
    }
    assertEquals(found, ["POST /orders?a=1 x häll", "GET /x null ", "PUT /y null abcde"]);
  }
});

Deno.test("readFrames() reads what a client masks, of each length", () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    const payload = Uint8Array.from({ length }, (_, i) => i);
    const plain = wireFrame(2, payload);
    const mask = [1, 2, 3, 4];
    const headLength = plain.length - length;
    const masked = new Uint8Array(plain.length + 4);
    masked.set(plain.subarray(0, headLength));
    masked[1] |= 0x80;
    masked.set(mask, headLength);
    masked.set(payload.map((byte, i) => byte ^ mask[i & 3]), headLength + 4);
    const left = new HalfRead();
    const heard: [number, Uint8Array][] = [];
    const hear = (opcode: number, data: Uint8Array) => heard.push([opcode, data]);
    left.add(masked.subarray(0, masked.length - 1));
    readFrames(left, hear);
    assertEquals(heard, []);
    left.add(masked.subarray(masked.length - 1));
    left.add(masked);
    readFrames(left, hear);
    assertEquals(heard, [[2, payload], [2, payload]]);
    assertEquals(left.bytes.length, 0);
  }
});

Deno.test("upgrade() proves that the key was read, as RFC 6455 shows", async () => {
  const headers = new Headers({ "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" });
  const answer = await upgrade(headers);
  assertEquals(answer.includes("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), true);
});

Deno.test("head() is the head of an answer", () => {
  assertEquals(head(204, { a: "1" }), "HTTP/1.1 204 Venue\r\na: 1\r\n\r\n");
});
