import { assertEquals } from "@std/assert";
import { nameOf, ReplyError } from "../../session/reply_error.ts";

Deno.test("ReplyError keeps what is wrong with an answer, and what it says", () => {
  const error = new ReplyError("the answer is not JSON", "decode", { worthwhile: true }, "<html>");
  assertEquals([error.name, error.kind, error.text], ["ReplyError", "decode", "<html>"]);
  assertEquals([error.message, error.details], ["the answer is not JSON", { worthwhile: true }]);
});

Deno.test("nameOf() shows the name of an error, and nothing that only poses as one", () => {
  for (
    const [error, name] of [
      [new RangeError("hunter2"), "RangeError"],
      [new DOMException("hunter2", "AbortError"), "AbortError"],
      [Object.assign(new Error(), { name: "key=hunter2" }), "something else than an Error"],
      [Object.assign(new Error(), { name: "x".repeat(65) }), "something else than an Error"],
      ["hunter2", "something else than an Error"],
      [undefined, "something else than an Error"],
      [null, "something else than an Error"],
      [{ name: 7 }, "something else than an Error"],
    ] as const
  ) assertEquals(nameOf(error), name);
});
