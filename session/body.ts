/**
 * Encodes and checks the body of a request. Internal to {@linkcode Session}.
 *
 * @module
 */

import type { HeaderRecord } from "./headers.ts";
import { decimal, writeJson } from "./json.ts";
import { RequestError } from "./request_error.ts";

/**
 * Bodies that are sent unchanged. A stream is none: no second attempt could send a stream again.
 *
 * @example Bytes that are sent unchanged
 * ```ts
 * import { type Body, Session } from "@aio-trader/core/session";
 * import { assertEquals } from "@std/assert";
 *
 * const body: Body = new TextEncoder().encode("<order/>");
 * let sent = "";
 * await using session = new Session({
 *   baseUrl: "https://api.venue.example",
 *   fetch: async (_url, init) => {
 *     sent = await new Response(init!.body).text();
 *     return Response.json({});
 *   },
 * });
 * await session.post("orders", { body, headers: { "content-type": "application/xml" } });
 * assertEquals(sent, "<order/>");
 * ```
 */
export type Body =
  | string
  | Uint8Array<ArrayBuffer>
  | ArrayBuffer
  | Blob
  | FormData
  | URLSearchParams;

/** A body as `sign` sees it, and the content-type where the caller gave none. */
export interface Payload {
  /** The encoded body. */
  body: string | Uint8Array<ArrayBuffer> | Blob | FormData | undefined;
  /** Its content-type. */
  type: string | undefined;
}

/** A request that is ready for fetch. */
export interface Outgoing {
  /** With the query. */
  url: string;
  /** By lower-case name. */
  headers: HeaderRecord;
  /** Before it gets the form that `fetch` is given. */
  body: Payload["body"];
}

/**
 * Encodes the body of a call.
 *
 * @throws {RequestError} If the call has several bodies, or one that cannot be encoded.
 */
export function encodeBody(
  { json, form, body }: { json?: unknown; form?: object; body?: Body },
): Payload {
  const given = [json, form, body].filter((value) => value !== undefined);
  if (given.length > 1) {
    throw new RequestError("Cannot send several bodies: wanted one of json, form and body");
  }
  if (json !== undefined) return { body: writeJson(json), type: "application/json" };
  const params = form === undefined ? body : encodeForm(form, "form");
  if (params instanceof URLSearchParams) {
    return { body: params.toString(), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  const checked = checkBody(params);
  return {
    body: checked instanceof Uint8Array ? new Uint8Array(checked) : checked, // the caller may change it
    type: typeof params === "string"
      ? "text/plain;charset=UTF-8"
      : params instanceof Blob && params.type || undefined,
  };
}

/** Whether a body is a form. Deno looks the class up at each use: most calls need no such look. */
export function isForm(body: unknown): body is FormData {
  return typeof body === "object" && body instanceof FormData;
}

/**
 * Checks the body that is about to be sent.
 *
 * @throws {RequestError} If the body is a stream, or of a type that cannot be sent.
 */
export function checkBody(body: unknown): Payload["body"] {
  if (
    body === undefined || typeof body === "string" || body instanceof Blob || isForm(body)
  ) {
    return body;
  }
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  if (body instanceof Uint8Array) return body as Uint8Array<ArrayBuffer>;
  throw new RequestError(
    "Cannot send the body: wanted a string, bytes, Blob, FormData or URLSearchParams",
  );
}

/**
 * Encodes an object, a Map, a FormData or a list of pairs as a form.
 *
 * @param values Names and values. A list repeats its name; `undefined` and `null` are left out.
 * @param what The option, for the message.
 * @throws {RequestError} If a value is no string, finite number, bigint or boolean.
 */
export function encodeForm(values: object, what: string): URLSearchParams {
  if (values instanceof URLSearchParams) return values;
  const wanted = "wanted strings, finite numbers and booleans";
  if (Object(values) !== values) {
    throw new RequestError(`Cannot encode ${what}: it is a ${typeof values}, wanted an object`);
  }
  const params = new URLSearchParams();
  const entries = Symbol.iterator in values
    ? values as Iterable<[string, unknown]> // a Map, a FormData, a list of pairs
    : Object.entries(values);
  for (const [name, value] of entries) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === null) continue;
      const isNumber = typeof item === "number";
      if (isNumber ? !Number.isFinite(item) : !/^(?:string|bigint|boolean)$/.test(typeof item)) {
        const problem = isNumber ? "no finite number" : `a ${typeof item}`;
        throw new RequestError(`Cannot encode ${what}: ${what}.${name} is ${problem}, ${wanted}`);
      }
      params.append(name, isNumber ? decimal(item) : String(item));
    }
  }
  return params;
}

/**
 * Makes a Blob of a FormData, and sets the content-type: a Blob lower-cases its own, boundary
 * included.
 */
export async function encodeFormData(form: FormData, headers: HeaderRecord): Promise<Blob> {
  const encoded = new Response(form);
  headers["content-type"] ??= encoded.headers.get("content-type")!;
  return new Blob([await encoded.arrayBuffer()]);
}
