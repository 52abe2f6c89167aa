/**
 * The answers of a venue.
 *
 * @module
 */

/**
 * An answer with a status and headers; see {@linkcode reply}.
 *
 * @example An answer that is shared by two routes
 * ```ts
 * import { reply, SimulatedVenue, type VenueReply } from "@aio-trader/core/testing";
 *
 * const down: VenueReply = reply(503, "back at six", { "retry-after": "60" });
 * new SimulatedVenue().on("GET /quote", () => down).on("POST /orders", () => down);
 * ```
 */
export class VenueReply {
  /** The status; 0 if the body is all that is written, as {@linkcode raw} makes it. */
  readonly status: number;
  /** The headers. */
  readonly headers: Record<string, string>;
  /** The body. */
  readonly body: string | Uint8Array;

  /** Makes an answer; {@linkcode reply} is shorter. */
  constructor(status: number, headers: Record<string, string>, body: string | Uint8Array) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/**
 * Makes an answer of a handler that is more than a value in JSON.
 *
 * @param status The status.
 * @param body A text or bytes as they are, any other value as JSON, or nothing.
 * @param headers Headers; `content-type` says `application/json` for JSON.
 * @returns The answer, to be returned or thrown by a handler.
 *
 * @example A refusal in JSON
 * ```ts
 * import { reply, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * venue.on("POST /orders", () => reply(400, { error: "no funds" }));
 * const answer = venue.fetch(`${venue.httpUrl}orders`, { method: "POST" });
 * await time.pass(1_000);
 * assertEquals((await answer).status, 400);
 * ```
 */
export function reply(
  status: number,
  body?: unknown,
  headers: Record<string, string> = {},
): VenueReply {
  if (body === undefined) return new VenueReply(status, headers, "");
  if (typeof body === "string" || body instanceof Uint8Array) {
    return new VenueReply(status, headers, body);
  }
  const type = { "content-type": "application/json" };
  return new VenueReply(status, { ...type, ...headers }, JSON.stringify(body));
}

/**
 * Makes an answer of bytes as they are, after which the connection ends: an answer without a length,
 * with two of them, or no HTTP at all. A `SimulatedVenue` reads no bytes: the client fails as after
 * the fault `"garbage"`.
 *
 * @param bytes All that the venue writes, the head included.
 * @returns The answer, to be returned or thrown by a handler.
 *
 * @example An answer that ends where the connection does
 * ```ts
 * import { LoopbackVenue, raw } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * await using venue = await LoopbackVenue.listen();
 * venue.on("GET /time", () => raw("HTTP/1.1 200 OK\r\n\r\nnoon"));
 * assertEquals(await (await fetch(`${venue.httpUrl}time`)).text(), "noon");
 * ```
 */
export function raw(bytes: string | Uint8Array): VenueReply {
  return new VenueReply(0, {}, bytes);
}
