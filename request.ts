/**
 * What a session sends: a URL that cannot leave its base, headers that never quote their values, and a body that
 * no runtime sends twice. Internal to {@linkcode Session}.
 *
 * @module
 */

/** What may be sent as it is. A stream is not among them: it could not be sent again after a refusal. */
export type Body =
  | string
  | Uint8Array<ArrayBuffer>
  | ArrayBuffer
  | Blob
  | FormData
  | URLSearchParams;

/** Something that cannot be sent. Its message holds no value that was given, so it is safe to show. */
export class RequestError extends TypeError {
  /** `"RequestError"`. */
  override readonly name: string = "RequestError";
}

/** The headers of a request, by lower-case name. On Deno `fetch` takes a plain object 10 µs faster than Headers. */
export type HeaderRecord = Record<string, string>;

/** Headers that show no value: neither a malformed one when they refuse it, as the runtimes' own do, nor in a log. */
export class SafeHeaders extends Headers {
  static {
    const shown = ["Deno.customInspect", "nodejs.util.inspect.custom"].map((name) =>
      Symbol.for(name)
    );
    for (const name of [...shown, "toJSON"]) { // Bun's own toJSON holds the values
      const value = function (this: Headers) {
        return `Headers { ${[...this.keys()].join(", ")} }`;
      };
      Object.defineProperty(this.prototype, name, { value });
    }
  }

  #record: HeaderRecord | undefined;

  /**
   * Creates headers.
   *
   * @param init What they begin with.
   * @throws {RequestError} If one is malformed.
   */
  constructor(init: HeadersInit = []) {
    super();
    const entries: Iterable<readonly string[]> = Symbol.iterator in init
      ? init
      : Object.entries(init);
    for (const [name, value] of entries) this.append(name, value);
  }

  /** The headers as they are now. */
  get record(): HeaderRecord {
    return this.#record ??= Object.fromEntries(this);
  }

  /** Sets a header. */
  override set(name: string, value: string): void {
    this.#record = undefined;
    super.set(headerName(name), headerValue(name, value));
  }

  /** Adds a value to a header. */
  override append(name: string, value: string): void {
    this.#record = undefined;
    super.append(headerName(name), headerValue(name, value));
  }

  /** Removes a header. */
  override delete(name: string): void {
    this.#record = undefined;
    super.delete(headerName(name));
  }
}

function headerName(name: string): string {
  if (/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return name;
  throw new RequestError("Cannot set a header: its name is malformed, wanted an HTTP token");
}

function headerValue(name: string, value: string): string {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value = String(value))) return value;
  throw new RequestError(
    `Cannot set the header ${
      headerName(name)
    }: its value holds a control character or one beyond Latin-1`,
  );
}

/**
 * Checks a base URL.
 *
 * @returns The URL with a slash at the end: every URL of the session begins with it.
 * @throws {RequestError} If it is not an absolute http or https URL, or has more than an origin and a path.
 */
export function parseBase(baseUrl: string | URL): string {
  let base: URL;
  try {
    base = new URL(baseUrl);
  } catch {
    throw new RequestError("Cannot use baseUrl: it is no absolute URL, wanted https://host/path");
  }
  const { protocol, origin, pathname, username, password, search, hash } = base;
  if (!/^https?:$/.test(protocol) || username || password || search || hash) {
    throw new RequestError(
      "Cannot use baseUrl: wanted http or https, an origin and a path, and no user, query or fragment",
    );
  }
  return origin + pathname.replace(/\/*$/, "/");
}

/**
 * Joins a path and a query to a base URL.
 *
 * @throws {RequestError} If the path would leave the base URL, or may be read so by someone on the way.
 */
export function resolve(base: string, path: string, query: object | undefined): string {
  // deno-lint-ignore no-control-regex -- URL drops tabs and newlines, which hides a ".." from the eye
  if (typeof path !== "string" || /[\x00-\x1f\x7f\\#]/.test(path)) {
    throw new RequestError(
      "Cannot use the path: wanted a string without control characters, backslashes and #",
    );
  }
  if (query === undefined && /^[\w-]+(?:\/[\w-]+)*$/.test(path)) return base + path; // most paths
  const start = path.indexOf("?");
  const route = start < 0 ? path : path.slice(0, start);
  let search = start < 0 ? "" : path.slice(start + 1);
  if (/^(?:[a-z][a-z\d+.-]*:)?\/\//i.test(route)) {
    throw new RequestError("Cannot use the path: it names a host, wanted one below baseUrl");
  }
  if (/[%.]/.test(route)) checkSegments(route);
  if (query !== undefined) search += (search && "&") + encodeForm(query, "query");
  const href = route === "" ? base.slice(0, -1) : base + route.replace(/^\//, "");
  const url = new URL(href + (search && "?") + search);
  checkBelow(base, url);
  return url.href;
}

/** Some servers decode before they route: what a segment says in the end is what counts. */
function checkSegments(route: string): void {
  let decoded: string;
  try {
    decoded = decodeURIComponent(route);
  } catch {
    throw new RequestError("Cannot use the path: it holds a % that encodes nothing, wanted %25");
  }
  // URL drops spaces at the end, which makes a ".." of a ".. "
  // deno-lint-ignore no-control-regex -- see above
  if (/(?:^|\/) *\.\.? *(?:\/|$)|[\x00-\x1f\x7f\\]/.test(decoded)) {
    throw new RequestError("Cannot use the path: it holds a dot segment, wanted one below baseUrl");
  }
}

/**
 * Checks that a URL is below the base.
 *
 * @throws {RequestError} If it is not.
 */
export function checkBelow(base: string, url: URL): void {
  if (`${withoutQuery(url.href)}/`.startsWith(base)) return;
  throw new RequestError("Cannot use the URL: it is not below baseUrl");
}

/** A URL as it may be shown. */
export function withoutQuery(href: string): string {
  const end = href.search(/[?#]/);
  return end < 0 ? href : href.slice(0, end);
}

/** A body as `sign` sees it, and the type it has where the caller gave none. */
export interface Payload {
  /** What is sent. */
  body: string | Uint8Array<ArrayBuffer> | Blob | FormData | undefined;
  /** Its content-type. */
  type: string | undefined;
}

/**
 * Encodes the body of a call.
 *
 * @throws {RequestError} If there is more than one, or it cannot be encoded.
 */
export function encodeBody(
  { json, form, body }: { json?: unknown; form?: object; body?: Body },
): Payload {
  const given = [json, form, body].filter((value) => value !== undefined);
  if (given.length > 1) {
    throw new RequestError("Cannot send several bodies: wanted one of json, form and body");
  }
  if (json !== undefined) return { body: encodeJson(json), type: "application/json" };
  const params = form === undefined ? body : encodeForm(form, "form");
  if (params instanceof URLSearchParams) {
    return { body: params.toString(), type: "application/x-www-form-urlencoded;charset=UTF-8" };
  }
  const checked = checkBody(params);
  return {
    body: checked instanceof Uint8Array ? checked.slice() : checked, // it may wait, and change meanwhile
    type: typeof params === "string"
      ? "text/plain;charset=UTF-8"
      : params instanceof Blob && params.type || undefined,
  };
}

/**
 * Checks the body that is about to be sent.
 *
 * @throws {RequestError} If it is a stream, or nothing that can be sent.
 */
export function checkBody(body: unknown): Payload["body"] {
  if (
    body === undefined || typeof body === "string" || body instanceof Blob ||
    body instanceof FormData
  ) {
    return body;
  }
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  if (body instanceof Uint8Array) return body as Uint8Array<ArrayBuffer>;
  throw new RequestError(
    "Cannot send the body: wanted a string, bytes, Blob, FormData or URLSearchParams",
  );
}

function encodeJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = encodeExact(value); // a bigint, perhaps
  }
  if (text === undefined) throw new RequestError("Cannot encode json: it is no JSON value");
  return text;
}

/** Ids that arrived as bigint leave as the same digits. */
function encodeExact(value: unknown): string | undefined {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  try {
    return JSON.stringify(value, (_, item) => typeof item === "bigint" ? rawJSON(`${item}`) : item);
  } catch {
    throw new RequestError("Cannot encode json: it is circular, or one of its parts threw");
  }
}

function encodeForm(values: object, what: string): URLSearchParams {
  if (values instanceof URLSearchParams) return values;
  const params = new URLSearchParams();
  const entries = Symbol.iterator in values
    ? values as Iterable<[string, unknown]> // a Map, a FormData, a list of pairs
    : Object.entries(values);
  for (const [name, value] of entries) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === null) continue;
      if (!/^(?:string|bigint|boolean)$/.test(typeof item) && !Number.isFinite(item)) {
        throw new RequestError(
          `Cannot encode ${what}: ${name} holds a ${typeof item}, wanted strings, finite numbers and booleans`,
        );
      }
      params.append(name, String(item));
    }
  }
  return params;
}

/**
 * Makes a body that no runtime sends twice. Deno's fetch repeats a request by itself when a reused connection
 * closes without an answer, unless the body is a stream (denoland/deno#35610); a Blob is one, and still has a
 * length. An empty one goes out chunked there over HTTP/1.1.
 */
export function toBlob(body: string | Uint8Array<ArrayBuffer> | Blob | undefined): Blob {
  return body instanceof Blob ? body : new Blob(body === undefined ? [] : [body]);
}

/** Makes a Blob of a FormData, and sets its type: a Blob's own is lower-cased, which would break the boundary. */
export async function encodeFormData(form: FormData, headers: HeaderRecord): Promise<Blob> {
  const encoded = new Response(form);
  headers["content-type"] ??= encoded.headers.get("content-type")!;
  return new Blob([await encoded.arrayBuffer()]);
}

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

/** Says what is wrong with a number that must be above 0, if anything is. */
export function notPositive(name: string, value: number): string | undefined {
  if (typeof value === "number" && value > 0) return undefined;
  return `Cannot use ${name}: it is ${value}, wanted a number above 0`;
}

/** Headers whose values are nobody's secret. */
const PLAIN_HEADERS = new Set(["accept", "accept-language", "content-type", "user-agent"]);

/** Shorter ones say nothing, and would riddle what is left. */
const MIN_SECRET = 4;

/** What is handed to fetch. */
export interface Outgoing {
  /** With the query. */
  url: string;
  /** By lower-case name. */
  headers: HeaderRecord;
  /** Before it becomes a Blob. */
  body: Payload["body"];
}

/**
 * Collects all values of a request: none of them may be shown, as any may be a key. They come whole and in parts, as
 * they are and as JSON and URLs spell them, the longest first.
 */
export async function sentValues({ url, headers, body }: Outgoing): Promise<string[]> {
  const values = [...new URL(url).searchParams.values()];
  for (const [name, value] of Object.entries(headers)) {
    if (!PLAIN_HEADERS.has(name)) values.push(value, ...value.split(/[\s,:;=]+/));
  }
  if (body instanceof FormData) {
    for (const value of body.values()) if (typeof value === "string") values.push(value);
  } else if (body !== undefined) {
    const text = typeof body === "string" ? body : await new Response(body).text();
    values.push(text, ...leaves(text));
  }
  const spelt = values.flatMap((value) => [
    value,
    JSON.stringify(value).slice(1, -1),
    encodeURIComponent(value.toWellFormed()),
    new URLSearchParams({ "": value }).toString().slice(1),
  ]);
  return [...new Set(spelt)].filter((value) => value.length >= MIN_SECRET)
    .sort((a, b) => b.length - a.length);
}

/** The values in a body: of JSON, of a form, or the words of a text. */
function leaves(text: string): string[] {
  const values: string[] = [];
  try {
    const collect = (_: string, value: unknown, context?: { source?: string }) => {
      if (Object(value) !== value) values.push(String(value), context?.source ?? "");
    };
    JSON.parse(text, collect as (key: string, value: unknown) => unknown);
    return values;
  } catch {
    return [...new URLSearchParams(text).values(), ...text.split(/\s+/)];
  }
}
