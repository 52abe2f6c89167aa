import { assertEquals } from "@std/assert";
import { LoopbackVenue, raw, reply } from "../../testing.ts";

Deno.test("reply() keeps a text and bytes as they are, and makes JSON of other values", () => {
  const bytes = Uint8Array.of(1);
  assertEquals([reply(200, "a").body, reply(200, bytes).body, reply(200).body], ["a", bytes, ""]);
  const { status, headers, body } = reply(400, [1], { "x-id": "7" });
  assertEquals([status, headers, body], [
    400,
    { "content-type": "application/json", "x-id": "7" },
    "[1]",
  ]);
});

Deno.test("raw() is all that is written, and ends the connection", async () => {
  await using venue = await LoopbackVenue.listen();
  const head = "HTTP/1.1 207 Odd\r\nx-of: the test\r\n\r\n";
  venue.will("*", raw(`${head}text`), raw(new TextEncoder().encode(`${head}bytes`)));
  for (const body of ["text", "bytes"]) {
    const response = await fetch(venue.httpUrl);
    assertEquals([response.status, response.headers.get("x-of")], [207, "the test"]);
    assertEquals(await response.text(), body);
  }
  await venue.until(() => venue.alive === 0);
});
