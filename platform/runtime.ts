/**
 * What runtimes do that the web platform does not say: which of them repeats a request by itself. Internal.
 *
 * @module
 */

/** Deno repeats whatever is no stream, so an order without a body that goes out plain. */
export const isDeno: boolean = "Deno" in globalThis;

/**
 * Whether a Blob must be streamed: Node's fetch, as the standard says, sends a request again after a 421 if it still
 * has what its body was made of. With a content-length of our own it is not chunked.
 */
export const isNode: boolean = !isDeno && !("Bun" in globalThis) &&
  "process" in globalThis;

/** Bun before 1.4 repeats a POST too: seen with 1.2.0 to 1.3.11, though not with 1.3.14. */
const isOldBun = /^1\.[0-3]\./.test(
  `${(globalThis as { Bun?: { version: string } }).Bun?.version}`,
);

/** Whether Bun sends such a request again when a connection that it reuses ends without an answer (oven-sh/bun#28708). */
export function isRepeatedByBun(method: string): boolean {
  return isOldBun || method === "PUT" || method === "DELETE";
}
