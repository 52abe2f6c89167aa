/**
 * Ways to break a session.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const runtime = breaking("platform/runtime.ts");
const network = breaking("platform/network_error.ts");
const transport = breaking("session/transport.ts");
const idle = breaking("session/idle_answers.ts");
const timeouts = breaking("session/timeouts.ts");
const url = breaking("session/url.ts");
const body = breaking("session/body.ts");
const headers = breaking("session/headers.ts");
const json = breaking("session/json.ts");
const secrets = breaking("session/secrets.ts");
const spelling = breaking("session/spelling.ts");
const refusal = breaking("session/refusal.ts");
const reply = breaking("session/reply.ts");
const brokerError = breaking("common/broker_error.ts");

/** The mutants of `session.ts`, its cupboards, and the rooms of the platform that it stands on. */
export const room: Room = {
  tests: [
    "tests/session_test.ts",
    "tests/broker_test.ts",
    "tests/session/",
    "tests/platform/",
    "tests/common/",
  ],
  mutants: [
    // The runtime
    runtime("a polyfilled process is taken for Node", [
      "if (agent !== undefined && !pattern.test(agent)) continue;",
      "",
    ]),
    runtime("the user agent alone decides", [
      "    if (!path && agent !== undefined)",
      "    if (agent !== undefined)",
    ]),
    runtime("Bun is taken for Node", [
      '  { name: "bun", agent: /^Bun\\//, version: ["Bun", "version"] },\n',
      "",
    ]),
    runtime("a runtime without a user agent is unknown", [
      "agent !== undefined && !pattern",
      "agent === undefined || !pattern",
    ]),

    // The words of network errors
    network("a reset does not come from the network", ['  "ECONNRESET",\n', ""]),
    network("a refused connection may have executed the order", ['  "ECONNREFUSED",\n', ""], [
      'new Set(["connect", "getaddrinfo"])',
      "new Set([])",
    ]),
    network("a failed connect is not known by its system call", [
      'new Set(["connect", "getaddrinfo"])',
      "new Set([])",
    ]),
    network("a certificate that was not trusted is an unknown fate", [
      'UNTRUSTED.test(code ?? "")',
      "false",
    ]),
    network("a TLS failure is repeated", [
      "(isUnreached(link) && !isTls(link))",
      "isUnreached(link)",
    ]),
    network("a TLS failure of Deno is repeated", ["TLS_TEXT.test(error.message)", "false"]),
    network("Deno's text of a refused connection is not known", [
      "client error \\(Connect\\)|",
      "",
    ]),
    network("a proxy that refuses CONNECT is an unknown fate", [
      "|\\) !== 200 when HTTP Tunneling",
      "",
    ]),
    network("a forbidden port is an unknown fate", ["BLOCKED_TEXT.test(error.message)", "false"]),
    network("a forbidden port is known by a part of a message", [
      "/^(?:bad port|",
      "/(?:bad port|",
    ]),
    network("one address that refused is enough", ["parts.every(", "parts.some("]),
    network("the parts of an AggregateError are not read", [
      "    for (const part of partsOf(value)) look(part);\n",
      "",
    ]),
    network("an AggregateError is judged by its own code", [
      "if (parts.length > 0) return",
      "if (parts.length > 99) return",
    ]),
    network("causes are not read", ["    look(value.cause);\n", ""]),
    network("an error of another realm is none", [
      "return /^\\[object (Error|DOMException)\\]$/.test(Object.prototype.toString.call(value));",
      "return value instanceof Error;",
    ]),
    network("a code may be anything", [
      'typeof code === "string" && /^\\w{1,64}$/.test(code)',
      'typeof code === "string"',
    ]),
    network("a text that only holds a browser's counts", [
      "/^(?:failed to fetch",
      "/(?:failed to fetch",
    ]),
    network("a missing permission is an unknown fate", [
      "refusal !== undefined || isUnsent(error)",
      "isUnsent(error)",
    ]),
    network("Node's missing permission is not named", [
      'if (code === "ERR_ACCESS_DENIED" && permission === "Net") {',
      "if (false) {",
    ]),
    network("a denial of anything is a denial of the network", [' && permission === "Net"', ""]),
    network("a timeout does not come from the network", ['link.name === "TimeoutError" || ', ""]),
    network("a circle of causes never ends", [
      "found.has(value) || found.size >= MAX_LINKS",
      "false",
    ]),

    // How a request is handed to fetch
    transport("a redirect is followed", ['redirect: "manual"', 'redirect: "follow"']),
    transport("fetchOptions may follow a redirect", [
      '{ ...this.#options.fetchOptions, method, headers, redirect: "manual" }',
      '{ method, headers, redirect: "manual", ...this.#options.fetchOptions }',
    ]),
    transport("an order is sent from a browser", [
      "return isRefused ? REFUSAL : undefined;",
      "return undefined;",
    ]),
    transport("what is idempotent is refused in a browser", [
      "this.#isUnknown && !isSafe && !isIdempotent",
      "this.#isUnknown && !isSafe",
    ]),
    transport("a fetch of the session's own does not answer for itself", [
      ' === "unknown" && !this.#options.fetch',
      ' === "unknown"',
    ]),
    transport("Deno is trusted with an order without a body", [
      'this.#runtime.name === "deno" && body === undefined',
      "false",
    ]),
    transport("a GET waits for idle connections", [
      "return isSafe ? undefined : this",
      "return this",
    ]),
    transport("an order does not wait for idle connections", [
      "isSafe ? undefined : this.#idle?.wait()",
      "undefined",
    ]),
    transport("an order waits though the session has a fetch of its own", [
      "if (!options.fetch) this.#idle",
      "this.#idle",
    ]),
    transport("an answer is not noted", ["    this.#idle?.answered(sent);\n", ""]),
    transport("the signal is not passed on", ["    init.signal = signal;\n", ""]),
    transport("an old Bun reuses connections for orders", ["isOldBun || method", "method"]),
    transport("Bun reuses connections for PUT", ['method === "PUT" || ', ""]),
    transport("Bun reuses connections for DELETE", [' || method === "DELETE"', ""]),
    transport("a GET asks for a connection of its own", [
      "if (!isSafe && (isOldBun",
      "if ((isOldBun",
    ]),
    transport("workerd sends a PUT without a body", [' && (isSafe || name !== "workerd")', ""]),
    transport("an order on Deno is a string", [
      "init.body = body instanceof Blob || fetch ? toBlob(body) : new OnceBlob(toBytes(body));",
      "init.body = body;",
    ]),
    transport("an order on Node is a Blob", ["init.body = blob.stream();", "init.body = blob;"]),
    transport("an order on Node is chunked", [
      '    init.headers = { ...init.headers, "content-length": `${blob.size}` } as HeaderRecord;\n',
      "",
    ]),
    transport("an empty order on workerd has no body", [
      "body === undefined ? new ReadableStream({ start: (c) => c.close() }) : toBlob(body)",
      "body === undefined ? undefined : toBlob(body)",
    ]),
    transport("the size of a Blob is 0", ["return this.#bytes.length;", "return 0;"]),
    transport("the stream of a Blob is empty", [
      "if (bytes.length > 0) controller.enqueue(bytes);",
      "",
    ]),
    transport("the bytes of a Blob are not copied by slice", [
      "new Blob([this.#bytes]).slice(start, end, type)",
      "new Blob([this.#bytes])",
    ]),

    idle("an order waits right after an answer", [
      " || this.#isFresh()) return undefined;",
      ") return undefined;",
    ]),
    idle("an order never waits", [
      "return performance.now() - this.#read <= BLIND;",
      "return true;",
    ]),
    idle("each order waits on its own", ["this.#reading ??= this", "this.#reading = this"]),
    idle("a wait that is over is joined", [".finally(() => this.#reading = undefined)", ""]),
    idle("an order waits for one turn", ["turn(this.#turns, resolve)", "turn(1, resolve)"]),
    idle("an order on Node waits for many turns", ["  node: 2,", "  node: 64,"]),
    idle("an order on Node waits for no turn", ["  node: 2,", ""]),
    idle("an old Deno waits for many turns", [
      "isOld ? 1 : TURNS[name] ?? 0",
      "TURNS[name] ?? 0",
    ]),
    transport("the permission of Deno is not asked for", ["    if (denial) throw denial;\n", ""]),
    idle("an older answer counts for more than a newer one", [
      "if (sent > this.#read) this",
      "this",
    ]),

    // URLs
    url("a path that is only a query goes below the base's slash", [
      'route === "" ? base.slice(0, -1) : ',
      "",
    ]),
    url("a query in the path is dropped", [
      'let search = start < 0 ? "" : path.slice(start + 1);',
      'let search = "";',
    ]),
    url("a query replaces that of the path", [
      '(search && "&") + encodeForm',
      '(search = "") + encodeForm',
    ]),
    url("a path may name a host", [
      "if (/^(?:[a-z][a-z\\d+.-]*:)?\\/\\//i.test(route)) {",
      "if (false) {",
    ]),
    url("an encoded dot segment is let in", [
      "decoded = decodeURIComponent(route);",
      "decoded = route;",
    ]),
    url("a dot segment with a space is let in", [" *\\.\\.? *(?:", "\\.\\.?(?:"]),
    url("a percent sign that encodes nothing is let in", [
      '    throw new RequestError("Cannot use the path: it holds a % that encodes nothing, wanted %25");\n',
      "    return;\n",
    ]),
    url("a backslash is let in", ["x7f\\\\#]/.test(path)", "x7f#]/.test(path)"]),
    url("a fragment is let in", ["x7f\\\\#]/.test(path)", "x7f\\\\]/.test(path)"]),
    url("a URL may leave the base", [
      "  if (`${withoutQuery(url.href)}/`.startsWith(base)) return;\n",
      "  if (true) return;\n",
    ]),
    url("a sibling that begins like the base is below it", [
      "`${withoutQuery(url.href)}/`.startsWith(base)",
      "url.href.startsWith(base.slice(0, -1))",
    ]),
    url("a user in the base is let in", ["username || password || search", "search"]),
    url("a query in the base is let in", [" || search || hash", " || hash"]),
    url("any protocol is let in", ["!/^https?:$/.test(protocol) || ", ""]),
    url("a query is shown", ["return end < 0 ? href : href.slice(0, end);", "return href;"]),

    // Bodies
    body("two bodies are sent as one", ["if (given.length > 1) {", "if (given.length > 2) {"]),
    body("a Blob's own type is lost", [
      "params instanceof Blob && params.type || undefined",
      "undefined",
    ]),
    body("text has no type", ['      ? "text/plain;charset=UTF-8"', "      ? undefined"]),
    body("json has no type", ['type: "application/json"', "type: undefined"]),
    body("the caller's bytes are sent, not a copy", [
      "new Uint8Array(checked) : checked",
      "checked : checked",
    ]),
    body("an ArrayBuffer is refused", [
      "  if (body instanceof ArrayBuffer) return new Uint8Array(body);\n",
      "",
    ]),
    body("a list in a form is one value", ["Array.isArray(value) ? value : [value]", "[value]"]),
    body("a null in a form is the word", [
      "item === undefined || item === null",
      "item === undefined",
    ]),
    body("NaN in a form is sent", ["isNumber ? !Number.isFinite(item)", "isNumber ? false"]),
    body("an object in a form is sent", [
      "!/^(?:string|bigint|boolean)$/.test(typeof item)",
      "false",
    ]),
    body("a number in a form goes out in scientific notation", [
      "isNumber ? decimal(item) : String(item)",
      "String(item)",
    ]),
    body("a Map as a form is empty", ["Symbol.iterator in values", "Array.isArray(values)"]),
    body("the encoding of FormData is not awaited", [
      "return new Blob([await encoded.arrayBuffer()]);",
      "return new Blob([encoded.arrayBuffer() as unknown as BlobPart]);",
    ]),
    body("the boundary of FormData is lost", [
      '  headers["content-type"] ??= encoded.headers.get("content-type")!;\n',
      "",
    ]),

    // Headers
    headers("a header's value is quoted when it is refused", [
      "${cannot} its value holds a control",
      "${cannot} ${text} holds a control",
    ]),
    headers("a header is shown in a log", ["[...this.keys()]", "[...this.values()]"]),
    headers("a line break is let in", [
      "[\\t\\x20-\\x7e\\x80-\\xff]*$/.test(text)",
      "[\\t\\n\\r\\x20-\\x7e\\x80-\\xff]*$/.test(text)",
    ]),
    headers("undefined is sent as a word", [
      "value !== undefined && value !== null",
      "value !== null",
    ]),
    headers("an object is sent as its tag", [
      '(typeof value === "object" && text.startsWith("[object "))',
      "false",
    ]),
    headers("a number goes out in scientific notation", ["isNumber ? decimal(value) : ", ""]),
    headers("set() is not seen by the next call", [
      "  override set(name: string, value: string): void {\n    this.#record = undefined;\n",
      "  override set(name: string, value: string): void {\n",
    ]),
    headers("append() is not seen by the next call", [
      "  override append(name: string, value: string): void {\n    this.#record = undefined;\n",
      "  override append(name: string, value: string): void {\n",
    ]),
    headers("delete() is not seen by the next call", [
      "  override delete(name: string): void {\n    this.#record = undefined;\n",
      "  override delete(name: string): void {\n",
    ]),

    // JSON
    json("a large integer is rounded", ["/\\d{16}/.test(text) ? JSON.parse(text, exact) : ", ""]),
    json("a large fraction becomes an integer", [
      "/^-?\\d+$/.test(source) ? BigInt(source) : value",
      "BigInt(Math.trunc(value))",
    ]),
    json("a negative large integer is rounded", [
      "/^-?\\d+$/.test(source)",
      "/^\\d+$/.test(source)",
    ]),
    json("a number goes out in scientific notation", [
      "if (Number.isFinite(value)) return decimal(value);",
      "if (Number.isFinite(value)) return `${value}`;",
    ]),
    json("small numbers lose a zero", ['"0".repeat(-point)', '"0".repeat(-point - 1)']),
    json("large numbers lose a zero", [
      'digits.padEnd(point, "0")',
      'digits.padEnd(point - 1, "0")',
    ]),
    json("NaN is null", [
      "if (Number.isFinite(value)) return decimal(value);",
      'if (!Number.isFinite(value)) return "null";\n    if (true) return decimal(value);',
    ]),
    json("an invalid Date is null", [
      'if (tagOf(value) === "Date" && Number.isNaN(Number(value))) return NaN;',
      "",
    ]),
    json("a Map is an empty object", ["/^(?:Map|Set|", "/^(?:Set|"]),
    json("a Promise is an empty object", ["Weak\\w+|Promise|", "Weak\\w+|"]),
    json("an object of a class that has no properties is an empty object", [
      "keys.length === 0 && !isPlain(object)",
      "false",
    ]),
    json("undefined in a list is null", [
      'if (text === undefined) throw unsayable(`${path}[${i}]`, "undefined in a list");\n    return text;',
      'return text ?? "null";',
    ]),
    json("a circle never ends", ['if (open.has(value)) throw unsayable(path, "circular");', ""]),
    json("the same object twice is a circle", ["  open.delete(value);\n", ""]),
    json("toJSON is not asked", [
      'if (typeof toJSON === "function") value = toJSON.call(value, key);',
      "",
    ]),
    json("a boxed number is an object", [
      "/^(?:Number|String|Boolean|BigInt)$/.test(tagOf(value))",
      "false",
    ]),
    json("the path to the value is not named", [
      "`Cannot encode json: ${path} is",
      "`Cannot encode json: it is",
    ]),

    // Secrets
    secrets("a value of the query is shown", [
      "  for (const [name, value] of new URL(url).searchParams) collect(value || name, values);\n",
      "",
    ]),
    secrets("a value of a header is shown", [
      "if (!PLAIN_HEADERS.has(name)) collectHeader(value, values);",
      "",
    ]),
    secrets("a value of a FormData is shown", [
      "body instanceof FormData ? [...body.values()] : [body",
      "body instanceof FormData ? [] : [body",
    ]),
    secrets("a value of 4 characters is shown", ["const MIN_VALUE = 4;", "const MIN_VALUE = 5;"]),
    secrets("8 characters of a key are shown", ["const MIN_KEY = 8;", "const MIN_KEY = 9;"]),
    secrets("the pair of Basic is shown", [
      '    for (const charset of ["utf-8", "latin1"]) {',
      "    for (const charset of [] as string[]) {",
    ]),
    secrets("the password of Basic is shown", [".add(text.slice(end + 1))", ""]),
    secrets("the key within a header is shown", [
      '  for (const word of value.split(/[\\s,:;="]+/)) values.add(word);\n',
      "",
    ]),
    secrets("a value within JSON is shown", [
      'if (typeof value === "string") collect(value, values, false, depth + 1);',
      'if (typeof value === "string");',
    ]),
    secrets("a number within JSON is shown", [
      'else if (Object(value) !== value) values.add(String(value)).add(context?.source ?? "");',
      "",
    ]),
    secrets("true and Bearer are riddled out", [
      " || PLAIN_WORDS.test(value)",
      "",
    ]),
    secrets("a value at the end of a text is shown", [
      "for (let at = 0; at + MIN_VALUE <= chars.length; at++) {\n    if (!begins",
      "for (let at = 0; at + MIN_VALUE < chars.length; at++) {\n    if (!begins",
    ]),
    secrets("an excerpt is as long as the answer", [".slice(0, MAX_EXCERPT)", ""]),
    secrets("a code loses the symbol in it", [
      "secret.length >= MIN_KEY));",
      "secret.length >= 0));",
    ]),
    spelling("JSON's escapes hide a key", ['  "\\\\": /^(?:u([\\da-f]{4}))?/,\n', ""]),
    spelling("HTML's escapes hide a key", [
      '  "&": /^#x([\\da-f]{1,8});|^#(\\d{1,9});|^([a-z]\\w{1,7});/,\n',
      "",
    ]),
    spelling("HTML's decimal escapes hide a key", ["|^#(\\d{1,9});|", "|^#(\\d{9,9});|"]),
    spelling("HTML's named escapes hide a key", [
      "NAMED.get(name) ?? Number(decimal)",
      "Number(decimal)",
    ]),
    spelling("percent escapes hide a key", ['  "%": /^([\\da-f]{2})/,\n', ""]),
    spelling("capital letters hide a key", ["code >= 65 && code <= 90 ? code + 32 : code", "code"]),
    spelling("a plus for a space hides a key", ["code === 0x2b || (", "("]),

    // What a status means
    refusal("501 is worth repeating", ["worthwhile: status !== 501", "worthwhile: true"]),
    refusal("503 is not worth repeating", ["worthwhile: status !== 501", "worthwhile: false"]),
    refusal("408 says that the order was refused", [
      'new ReplyError(why, "timeout", { worthwhile: true }, text)',
      'new ReplyError(why, "timeout", { worthwhile: true, outcome }, text)',
    ]),
    refusal("418 is no rate limit", [" || status === 418", ""]),
    refusal("401 is no login", ['status === 401 ? "unauthorized" : "rejected"', '"rejected"']),
    refusal("a redirect was refused by the venue", [
      '  if (status < 400) return new ReplyError(`it is redirected (${status})`, "redirect");\n',
      "",
    ]),
    refusal("a status below 200 is a success", [
      '  if (status < 200) return new ReplyError(why, "network");\n',
      "",
    ]),
    refusal("a 408 may be called rejected by the venue's words", [
      "status === 401 || status === 408 || ",
      "status === 401 || ",
    ]),
    refusal("a 500 may be called rejected by the venue's words", [" || status >= 500;", ";"]),
    refusal("fractions of a second do not count", [
      "/^\\d+(?:\\.\\d*)?$/.test(value)",
      "/^\\d+$/.test(value)",
    ]),
    refusal("fractions of a second are rounded down", [
      "/[1-9]/.test(fraction.slice(3)) ? 1 : 0",
      "0",
    ]),
    refusal("an epoch is a duration", ["if (seconds < MAX_SECONDS) return", "if (true) return"]),
    refusal("an epoch in milliseconds is none", [
      "const waits = [seconds * 1_000 - now, seconds - now];",
      "const waits = [seconds * 1_000 - now];",
    ]),
    refusal("an epoch in seconds is none", [
      "const waits = [seconds * 1_000 - now, seconds - now];",
      "const waits = [seconds - now];",
    ]),
    refusal("the shortest of two waits counts", [
      "Math.max(longest ?? 0, wait)",
      "Math.min(longest ?? wait, wait)",
    ]),
    refusal("a date that is past is a negative wait", [
      "return Math.max(0, Date.UTC(",
      "return (Date.UTC(",
    ]),
    refusal("a two-digit year is one of the future", [
      "    if (year > new Date(now).getUTCFullYear() + 50) year -= 100;\n",
      "",
    ]),
    refusal("a date in January is none", [
      "!MONTHS.includes(groups.month)",
      "!MONTHS.indexOf(groups.month)",
    ]),
    ...["x-request-id", "request-id", "x-amzn-requestid", "x-correlation-id", "cf-ray"].map((
      name,
    ) => refusal(`the request id ${name} is not read`, [`  "${name}",\n`, ""])),
    refusal("the code of an error is not read from code", [
      '["code", "error_code"',
      '["error_code"',
    ]),
    refusal("the code of an error is not read from error_code", ['"error_code", ', ""]),
    refusal("the code of an error is not read from errorCode", ['"errorCode", ', ""]),
    refusal("the code of an error is not read from error_type", [', "error_type"]', "]"]),
    refusal("a code that is an object is shown", [
      "/^(?:string|number)$/.test(typeof code)",
      "code !== undefined",
    ]),
    refusal("a key in a code is shown", ["excerpt(code, keysOf(secrets)) : code", "code : code"]),
    refusal("a key in a request id is shown", [
      "      REQUEST_IDS.map((name) => headers.get(name)).find(Boolean),\n      keysOf(secrets),",
      "      REQUEST_IDS.map((name) => headers.get(name)).find(Boolean),\n      new Set(),",
    ]),
    refusal("a key in the answer is shown", [
      "body: excerpt(text, secrets)",
      "body: text.slice(0, 512)",
    ]),

    // Errors
    brokerError("an error is retriable unless it says otherwise", [
      "retriable = false",
      "retriable = true",
    ]),
    brokerError("the cause is lost", [
      "super(message, cause === undefined ? undefined : { cause });",
      "super(message);",
    ]),

    // Answers
    reply("a chunked answer may be of any length", [
      "    if (size > limit) throw tooLarge(limit);\n",
      "",
    ]),
    reply("an answer of maxBytes is too long", ["if (size > limit)", "if (size >= limit)"]),
    reply("half of an answer is taken for all of it", [
      "if (size < Number(length)) throw",
      "if (size < 0) throw",
    ]),
    reply("no byte of gzip is an empty answer", ["if (size === 0 && !(", "if (size < 0 && !("]),
    reply("an empty 201 is an error", ["status === 201 || status === 202", "status === 202"]),
    reply("an error under another type is not looked for", [
      "if (look && beginsAsJson(bytes)) showJson(",
      "if (look && !bytes) showJson(",
    ]),
    reply("every charset is UTF-8", ["new TextDecoder(mark)", "new TextDecoder()"]),
    reply("bytes are read as text", [
      '  if (how === "bytes") {',
      "  if (how !== how) {",
    ]),
    reply("plain text is read as JSON", [
      "if (!parse && /^text\\/plain\\b/.test(type) && /^\\s*[^\\s[{]/.test(text)) return text as T;",
      "",
    ]),
    reply("bad JSON is not worth repeating", [
      'throw new ReplyError(problem, "decode", { worthwhile: true }, text);',
      'throw new ReplyError(problem, "decode", {}, text);',
    ]),
    reply("what parse() threw is worth repeating", [
      '"decode", {}, text);\n    const',
      '"decode", { worthwhile: true }, text);\n    const',
    ]),
    reply("a page in HTML is taken for a text", [
      "^text\\/(?:plain|html)\\b",
      "^text\\/(?:plain)\\b",
    ]),
    reply("the chunks of an answer are mixed up", ["    at += chunk.length;\n", ""]),

    // Timeouts
    timeouts("a timeout ends too early", [
      "const wait = since + this.delay - now;",
      "const wait = since + this.delay / 2 - now;",
    ]),
    timeouts("each call arms a timer", [
      "if (this.#timer === undefined) this.#arm(this.delay);",
      "this.#arm(this.delay);",
    ]),
    timeouts("what was removed is ended", ["!this.#pending.delete(end) || ", ""]),
    timeouts("a timer is left when nothing is under way", ["    clearTimeout(this.#timer);\n", ""]),
    timeouts("Infinity arms a timer", ["    if (this.delay === Infinity) return;\n", ""]),
    timeouts("only the oldest is ended", ["        end();\n", "        end();\n        return;\n"]),
    timeouts("the timer is not believed where the clock stands still", [
      "oldest[1] + TOGETHER : -Infinity",
      "-Infinity : -Infinity",
    ]),
    timeouts("a delay of more than 2^31 ms ends at once", ["Math.min(delay, MAX_TIMER)", "delay"]),
    timeouts("nothing is armed for those that came later", [
      "if (since >= due && wait > 0) return this.#arm(wait);",
      "if (since >= due && wait > 0) return;",
    ]),
  ],
};
