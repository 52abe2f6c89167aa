import { assert, assertEquals } from "@std/assert";
import { RequestError } from "../../session/request_error.ts";

Deno.test("RequestError is a TypeError with a name of its own", () => {
  const error = new RequestError("Cannot send the body");
  assert(error instanceof TypeError);
  assertEquals([error.name, error.message], ["RequestError", "Cannot send the body"]);
});
