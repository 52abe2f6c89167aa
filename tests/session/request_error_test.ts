import { assertEquals, assertInstanceOf } from "@std/assert";
import { RequestError } from "../../session/request_error.ts";

Deno.test("RequestError is a TypeError with a name of its own", () => {
  const error = new RequestError("Cannot use the path: wanted /");
  assertInstanceOf(error, TypeError);
  assertEquals(`${error}`, "RequestError: Cannot use the path: wanted /");
});
