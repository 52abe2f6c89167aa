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
const chain = breaking("session/chain.ts");
const timeouts = breaking("session/timeouts.ts");
const url = breaking("session/url.ts");
const body = breaking("session/body.ts");
const headers = breaking("session/headers.ts");
const json = breaking("session/json.ts");
const secrets = breaking("session/secrets.ts");
const spelling = breaking("session/spelling.ts");
const refusal = breaking("session/refusal.ts");
const retryAfter = breaking("common/retry_after.ts");
const reply = breaking("session/reply.ts");
const session = breaking("session.ts");
const call = breaking("session/call.ts");
const exchange = breaking("session/exchange.ts");
const fate = breaking("session/fate.ts");
const openCalls = breaking("session/open_calls.ts");
const options = breaking("session/options.ts");
const prepared = breaking("session/prepared_request.ts");
const renewal = breaking("session/renewal.ts");
const role = breaking("session/role.ts");
const stop = breaking("session/stop.ts");
const stream = breaking("session/stream.ts");
const broker = breaking("broker.ts");
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
    exchange("an answer is not noted", ["      this.#venue.transport.answered(sent);\n", ""]),
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
    idle("an old Deno waits for immediates", [
      "    if (this.#isOld) return await",
      "    if (false) await",
    ]),
    idle("an order waits for ever", [
      "    const timer = setTimer(() => resolve(void (isLate = true)), PATIENCE);\n",
      "    const timer = 0;\n",
    ]),
    idle("the timer of a wait stays", ["    clearTimer(timer);\n", ""]),
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
    url("a query is shown", ["return query < 0 ? path : path.slice(0, query);", "return path;"]),
    url("a fragment is shown", ["hash < 0 ? href : href.slice(0, hash)", "href"]),

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
    json("an object of a class that has no properties is an empty object", [
      " || keys.length === 0",
      "",
    ]),
    json("undefined in a list is null", [
      'if (text === undefined) throw unsayable(at, "undefined in a list");\n',
      "",
    ], ['(i > 0 ? "," : "") + text', '(i > 0 ? "," : "") + (text ?? "null")']),
    json("a circle never ends", [
      'if (place.object === value) throw unsayable(at, "circular");',
      "",
    ]),
    json("only the outermost object is looked at for a circle", [
      "place.object === value",
      "!place.outer && place.object === value",
    ]),
    json("toJSON is not asked", ['      value = toJSON.call(value, String(at?.key ?? ""));\n', ""]),
    json("toJSON is not told the key", ['String(at?.key ?? "")', '""']),
    json("a boxed number is an object", [
      "/^(?:Number|String|Boolean|BigInt)$/.test(tagOf(value))",
      "false",
    ]),
    json("the path to the value is not named", [
      "`Cannot encode json: json${path} is",
      "`Cannot encode json: it is",
    ]),
    json("the path is read from the inside", [
      "(isName ? `.${key}` : `[${JSON.stringify(key)}]`) + path",
      "path + (isName ? `.${key}` : `[${JSON.stringify(key)}]`)",
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
    secrets("a short value of a header is no key", [" || fromHeaders.has(value)", ""]),
    secrets("a short value of a login is no key", ["isLogin || fromHeaders", "fromHeaders"]),
    secrets("a short value of an order is a key", ["(isKey || chars.length >= MIN_KEY)", "true"]),
    exchange("a short value of a login is shown", [
      'this.#call.request.role === "login"',
      "false",
    ]),
    exchange("a cut text is taken for whole on Node", [
      "if (!showsEnd(data, this.#call.request.parse)) {",
      "if (false) {",
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
      "if (chars && (isKey || chars.length >= MIN_KEY)) secrets.keys",
      "if (chars) secrets.keys",
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
    retryAfter("fractions of a second do not count", [
      "/^\\d+(?:\\.\\d*)?$/.test(value)",
      "/^\\d+$/.test(value)",
    ]),
    retryAfter("fractions of a second are rounded down", [
      "/[1-9]/.test(fraction.slice(3)) ? 1 : 0",
      "0",
    ]),
    retryAfter("an epoch is a duration", ["if (seconds < MAX_SECONDS) return", "if (true) return"]),
    retryAfter("an epoch in milliseconds is none", [
      "const waits = [seconds * 1_000 - now, seconds - now];",
      "const waits = [seconds * 1_000 - now];",
    ]),
    retryAfter("an epoch in seconds is none", [
      "const waits = [seconds * 1_000 - now, seconds - now];",
      "const waits = [seconds - now];",
    ]),
    retryAfter("the shortest of two waits counts", [
      "Math.max(longest ?? 0, wait)",
      "Math.min(longest ?? wait, wait)",
    ]),
    retryAfter("a two-digit year is one of the future", [
      "    if (year > new Date(now).getUTCFullYear() + 50) year -= 100;\n",
      "",
    ]),
    retryAfter("a date in January is none", [
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
    refusal("a key in a code is shown", ["excerpt(code, keys) : code", "code : code"]),
    refusal("a key in a request id is shown", [
      "REQUEST_IDS.map((name) => headers.get(name)).find(Boolean), keys)",
      "REQUEST_IDS.map((name) => headers.get(name)).find(Boolean), new Set())",
    ]),
    refusal("a key in the answer is shown", [
      "body: excerpt(text, values)",
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
    reply("every charset is UTF-8", ["new TextDecoder(charset)", "new TextDecoder()"]),
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
    reply("a page in HTML is taken for a text", [
      "^text\\/(?:plain|html)\\b",
      "^text\\/(?:plain)\\b",
    ]),
    reply("the chunks of an answer are mixed up", ["    at += chunk.length;\n", ""]),

    // The life of a call
    session("a closed session sends", [
      'if (!this.#calls.mayBegin(call)) throw call.error("closed", "the session is closed");',
      "",
    ]),
    session("a runtime that repeats orders is trusted", [
      '    if (refusal) throw call.error("invalid", refusal);\n',
      "",
    ]),
    session("the deadline is not kept", [
      '      call.end("timeout", `not done within its deadline of ${deadline} ms`);\n',
      "",
    ]),
    session("the deadline ends a reconciliation", [
      "      if (call.isReconciling) return; // a reconciliation has a timeout of its own\n",
      "",
    ]),
    session("a deadline of more than 2^31 ms ends at once", [
      "Math.min(deadline, MAX_TIMER)",
      "deadline",
    ]),
    session("the timer of a deadline is left", [
      "      clearTimeout(timer);\n      signal?.",
      "      signal?.",
    ]),
    session("a listener is left on the caller's signal", [
      '      signal?.removeEventListener("abort", abort);\n',
      "",
    ]),
    session("a call whose signal is aborted is sent", ["    if (signal?.aborted) abort();\n", ""]),
    session("an abort is not heard", ['    signal?.addEventListener("abort", abort);\n', ""]),
    session("an order of unknown fate is repeated", [
      "call.mayRepeat(error) && this.#calls",
      "this.#calls",
    ]),
    session("repeats begin while the session closes", [
      "call.mayRepeat(error) && this.#calls.mayBegin(call) &&",
      "call.mayRepeat(error) &&",
    ]),
    session("shouldRetry is not asked", [
      "(shouldRetry?.(error) ?? error.retriable)",
      "error.retriable",
    ]),
    session("the session's onRetry is not called", [
      "        quietly(() => onRetry?.(event));\n",
      "",
    ]),
    session("a retry is not told", [
      '          type: "retry",\n',
      '          type: "excess" as "retry",\n',
    ]),
    session("retry: false repeats", [
      "    if (options === false) return await attempt();\n    const { shouldRetry, onRetry, ...rest } = options;",
      "    const { shouldRetry, onRetry, ...rest } = options || {};",
    ]),
    session("half of each wait is not left to chance", ["      jitter: 0.5,\n", ""]),
    session("a second 401 makes the session log in again", [
      "call.rules.needsLogin && !call.isReplayed &&",
      "call.rules.needsLogin &&",
    ]),
    session("an order of unknown fate is replayed after a login", [
      '(call.request.isIdempotent || error.outcome === "rejected");',
      "true;",
    ]),
    session("a 401 of a login makes the session log in", [
      "const mayRenew = call.rules.needsLogin && ",
      "const mayRenew = ",
    ]),
    session("a refused call is repeated though nobody can log in", [
      "      if (!mayRenew) call.isFinal = true; // another repeat would be refused as well\n",
      "",
    ]),
    session("a call that was refused rejects with the login's error", [
      '      throw Object.defineProperty(refusal, "cause", value);',
      "      throw cause;",
    ]),
    session("a call is repeated after its login has failed", [
      "    } catch (cause) {\n      call.isFinal = true;\n      if (signal.aborted) throw cause;\n      const value",
      "    } catch (cause) {\n      if (signal.aborted) throw cause;\n      const value",
    ]),
    session("a login may take for ever", ['    call.limit(() => "no new login");\n', ""]),
    session("a call does not wait for the login that runs", [
      "      if (call.rules.needsLogin && this.#venue.renewal.isRunning) await this.#hold(call);\n",
      "",
    ]),
    session("calls in line go out with the dead token", [
      "leaveNoMore = this.#venue.renewal.onBegin(leave, urgent);",
      "",
    ]),
    session("urgent calls leave their lines before the others", [
      "onBegin(leave, urgent);",
      "onBegin(leave);",
    ]),
    session("a closed session leaves its timer for a moment", ["    this.#shared.stop();\n", ""]),
    session("each call arms a timer of its own", ["timeout, PATIENCE", "timeout"]),
    session("an order is not looked up", [
      "    if (!reconcile || !isUnknown || signal?.aborted || this.#calls.isClosed) throw error;\n",
      "    if (error) throw error;\n",
    ]),
    session("every failure is looked up", [
      'error instanceof BrokerError && error.outcome === "unknown";',
      "error instanceof BrokerError;",
    ]),
    session("an aborted order is looked up", [
      " || signal?.aborted || this.#calls",
      " || this.#calls",
    ]),
    session("a found order is not told from an answer", [", reconciled: true };", " };"]),
    session("the horizon is counted from the beginning", [
      "{ ...reconcile, ended, signal: over }",
      "{ ...reconcile, ended: 0, signal: over }",
    ]),
    session("a login that waits for itself never ends", [
      '    if (isBeginning) throw refuse("invalid", "this is the login, which would wait for itself");\n',
      "",
    ]),
    session("renew() logs in while the session closes", [
      '    if (this.#calls.isClosing) throw refuse("closed", "the session is closed");\n',
      "",
    ]),
    session("renew() without a way to log in succeeds", [
      '    if (!isPossible) throw refuse("invalid", "there is no way to, wanted onUnauthorized");\n',
      "",
    ]),
    session("a full line is called closed", ['  full: "rate-limited",\n', '  full: "closed",\n']),
    session("the words of a throttler are lost", [
      "`a throttler did not let it pass${words}`",
      '"a throttler did not let it pass"',
    ]),
    session("the cost is not passed on", ["{ cost, signal, urgent }", "{ signal, urgent }"]),
    session("an urgent call is not urgent", ["{ cost, signal, urgent }", "{ cost, signal }"]),

    call("an order in flight does not outlive close()", [
      "return this.isReconciling || this.fate.isSent && !this.isStreaming;",
      "return this.isReconciling;",
    ]),
    call("a reconciliation does not outlive close()", [
      "return this.isReconciling || this.fate",
      "return this.fate",
    ]),
    call("an order that is not sent outlives close()", [
      "this.fate.isSent && !this.isStreaming",
      "!this.isStreaming",
    ]),
    call("an order is repeated whatever became of it", [
      '(this.request.isIdempotent || error.outcome === "not-sent")',
      "true",
    ]),
    call("a final error is repeated", ["!this.isFinal && !this.stop", "!this.stop"]),

    exchange("the time of an attempt is not limited", [
      '    this.#call.limit(() => this.#isSigning ? "sign() did not end" : "no answer");\n',
      "",
    ]),
    exchange("the headers of a call lose against the session's", [
      "    if (own) Object.assign(headers, own);\n",
      "    Object.assign(headers, { ...own, ...headers });\n",
    ]),
    exchange("the type of a body is not sent", [
      'if (type) headers["content-type"] = type;',
      "if (type);",
    ]),
    exchange("the type of a FormData is the session's", [
      'else if (isForm(body)) delete headers["content-type"];',
      "else if (isForm(body));",
    ]),
    exchange("sign() is not awaited", [
      "await abortable((async () => await sign(draft))(), this.#signal);",
      "void abortable((async () => await sign(draft))(), this.#signal);",
    ]),
    exchange("sign() may lead anywhere", ["    checkBelow(this.#venue.base, draft.url);\n", ""]),
    exchange("the URL of sign() is not used", ["    outgoing.url = draft.url.href;\n", ""]),
    exchange("the headers of sign() are not used", [
      "    outgoing.headers = headers.record;\n",
      "",
    ]),
    exchange("the body of sign() is not used", [
      "    outgoing.body = checkBody(draft.body);\n",
      "",
    ]),
    exchange("an error of sign() shows its message", [
      "`sign() threw ${nameOf(error)}${words}`",
      "`sign() threw ${error}`",
    ]),
    exchange("a request goes out with the dead token after sign()", [
      "(isRunning || generation !== now)) throw LOGIN_BEGUN;",
      "false) throw LOGIN_BEGUN;",
    ]),
    exchange("a request is not told", ['    this.tell({ type: "request" });\n', ""]),
    exchange("event.duration is 0", [
      'type: "response", status, duration: performance.now() - this.#start',
      'type: "response", status, duration: 0',
    ]),
    exchange("the duration of a failure is 0", [
      '    stop.cancel(error);\n    this.tell({ type: "failure", error, duration: performance.now() - this.#start });',
      '    stop.cancel(error);\n    this.tell({ type: "failure", error, duration: 0 });',
    ]),
    exchange("the start is not taken down", ["venue.options.onEvent ? performance.now() : 0", "0"]),
    exchange("an excess is not told", [
      'if (tokens > 0) this.tell({ type: "excess", tokens });',
      "",
    ]),
    exchange("sync() that throws decides about an order", [
      "    quietly(() => {\n      const count",
      "    (() => {\n      const count",
    ], [
      '      if (tokens > 0) this.tell({ type: "excess", tokens });\n    });',
      '      if (tokens > 0) this.tell({ type: "excess", tokens });\n    })();',
    ]),
    exchange("a bare 429 pauses nothing", [
      "if (isRateLimit(status) && (wait !== undefined || !failure)) this.#pause(wait);",
      "",
    ], ["if (isLimited) this.#pause(error.retryAfter);", ""]),
    exchange("a rate limit in words pauses nothing", [
      'own?.kind === "rate-limited" || isRateLimit',
      "isRateLimit",
    ]),
    exchange("the pause of the session is not used", [
      "duration: number = this.#venue.defaults.pause",
      "duration: number = 0",
    ]),
    exchange("the pause of a venue's words is not used", [
      "if (isLimited) this.#pause(error.retryAfter);",
      "if (isLimited) this.#pause();",
    ]),
    exchange("failure() is not asked about a success", [
      "    this.#own = this.#failure(reply);\n    if (this.#own)",
      "    if (this.#own)",
    ]),
    exchange("HEAD has a body", ['method === "HEAD" || status === 204', "status === 204"]),
    exchange("204 has a body", ["status === 204 || status === 205", "status === 205"]),
    exchange("205 has a body", ["status === 204 || status === 205", "status === 204"]),
    exchange("what was sent is shown", [
      "outgoing && response ? await sentValues(outgoing, isLogin) : NO_SECRETS",
      "NO_SECRETS",
    ]),
    exchange("the connection of a failed request is left open", ["    stop.cancel(error);\n", ""]),
    exchange("a log decides about an order", [
      "  } catch {\n    // As the doc",
      "  } catch (error) {\n    throw error;\n    // As the doc",
    ]),
    exchange("a log whose promise rejects ends the process", [
      "    if (result instanceof Promise) result.catch(() => {});\n",
      "",
    ]),
    exchange("events of a call have another's number", [
      "onEvent({ call: id, method",
      "onEvent({ call: 1, method",
    ]),

    fate("what is unknown becomes known", [
      'if (this.#past !== "unknown") this.#past = error.outcome;',
      "this.#past = error.outcome;",
    ]),
    fate("an order in flight was not sent", [
      'own ?? (this.#isSent ? "unknown" : this.#past)',
      "own ?? this.#past",
    ]),
    fate("a runtime that may have repeated is trusted", [
      '    if (isDoubtful) this.#past = "unknown";\n',
      "",
    ]),
    fate("an order whose first request is unknown may be rejected", [
      'if (this.#past === "unknown" && !(isSafe && own === "rejected")) outcome = "unknown";',
      "",
    ]),
    fate("an order of unknown fate is retriable", [
      'worthwhile && (isIdempotent || outcome === "not-sent")',
      "worthwhile",
    ]),
    fate("the doubt is not put into words", ['"; it may have been executed"', '""']),
    fate("a TLS failure is repeated", ["code, worthwhile: !isTls", "code, worthwhile: true"]),
    fate("a request that never left is unknown", [
      'isUnsent ? "not-sent" : "unknown"',
      '"unknown"',
    ]),
    fate("a reset is not-sent", ['isUnsent ? "not-sent" : "unknown"', '"not-sent"']),
    fate("a denied permission is a network error", [
      '    if (refusal) return this.error("invalid", refusal, { outcome: "not-sent" });\n',
      "",
    ]),
    fate("the venue's words decide about a 5xx", [
      "const isDecided = isDecisive(usual.status);",
      "const isDecided = false;",
    ]),
    fate("the venue's words say not-sent", [
      'error.outcome === "not-sent" ? "rejected" : error.outcome',
      "error.outcome",
    ]),
    fate("a key in the message of failure() is shown", [
      "{ message: redact(message, keys) }",
      "{ message }",
    ]),
    fate("a key in the stack of failure() is shown", [
      "    error.stack = stack?.replace(message, () => error.message);\n",
      "",
    ]),
    fate("a key in the body of failure() is shown", [
      "    if (all.body !== undefined) all.body = excerpt(String(all.body), values);\n",
      "",
    ]),
    fate("a key in the code of failure() is shown", [
      '    if (typeof all.code === "string") all.code = redact(all.code, keys);\n',
      "",
    ]),
    fate("a cause of failure() is kept", ["    delete error.cause;\n", ""]),

    openCalls("close() does not wait", [
      "    this.#check();\n    return this.#closed.promise;",
      "    this.#closed.resolve();\n    return this.#closed.promise;",
    ]),
    openCalls("close() ends orders in flight at once", [
      "if (!call.outlivesClose) end(call);",
      "end(call);",
    ]),
    openCalls("close() waits for GETs", [
      "    for (const call of this.#calls.values) if (!call.outlivesClose) end(call);\n",
      "",
    ]),
    openCalls("closeTimeout is not kept", [
      "const expire = () => this.#expire();",
      "const expire = () => {};",
    ]),
    openCalls("closeTimeout 0 waits", [
      "if (this.#timeout === 0) this.#expire();\n    else if",
      "if",
    ]),
    openCalls("a closeTimeout of more than 2^31 ms ends at once", [
      "Math.min(this.#timeout, MAX_TIMER)",
      "this.#timeout",
    ]),
    openCalls("the timer of close() is left", ["    clearTimeout(this.#timer);\n", ""]),
    openCalls("a look-up is refused while the session closes", [
      '(this.#state === "closing" && call.rules.beginsWhileClosing)',
      "false",
    ]),
    openCalls("a look-up is sent once the session is closed", [
      'this.#state === "closing" && call',
      "call",
    ]),

    options("a retry option is not checked", [
      '  if (retry !== false) checkRetryOptions(task, retry, "retry");\n',
      "",
    ]),
    options("a hook that is none is let in", [
      "    checkFunction(task, name, options[name]);\n",
      "",
    ]),
    options("a negative closeTimeout is let in", [
      '  checkNumber(task, "closeTimeout", closeTimeout, { unit: "milliseconds" });\n',
      "",
    ]),
    options("a negative pause is let in", [
      '  checkNumber(task, "pause", pause, { unit: "milliseconds" });\n',
      "",
    ]),
    options("a timeout of 0 is let in", [
      '  checkNumber(task, "timeout", timeout, DURATION);\n',
      "",
    ]),
    options("a maxBytes of 0 is let in", [
      '  checkNumber(task, "maxBytes", maxBytes, SIZE);\n',
      "",
    ]),

    prepared("a method that is none is let in", ["  if (index < 0) {\n", "  if (false) {\n"]),
    prepared("a GET may be promised to be sent once", [
      "if (index < SAFE_METHODS && idempotent === false) {",
      "if (false) {",
    ]),
    prepared("a GET may have a body", [
      "  if (!isSafe || payload.body === undefined) return payload;\n",
      "  if (true) return payload;\n",
    ]),

    renewal("two logins run at a time", [
      "    if (this.#current) return this.#current.promise;\n",
      "",
    ]),
    renewal("a 401 from before the login makes another", [
      "return isStale && !this.#current ? this.#last : this.run();",
      "return this.run();",
    ]),
    renewal("calls stay in line while the login runs", [
      "    for (const { leave } of fromEnd) leave();\n",
      "",
    ]),
    renewal("the urgent leave as if they were not", [
      "Number(a.isUrgent) - Number(b.isUrgent)",
      "0",
    ]),
    renewal("the oldest leave first", ["this.#lines.values.reverse()", "this.#lines.values"]),
    renewal("the login's calls wait for the login", [
      "isBeginning: true, end",
      "isBeginning: false, end",
    ]),
    renewal("every call made while a login runs is a login", [
      "    login.isBeginning = false;\n",
      "",
    ]),
    renewal("a login that was given up ends the next", [
      "      if (this.#current !== login) return; // given up before\n",
      "",
    ]),
    renewal("the timer of a login is left", [
      "      clearTimeout(timer);\n      this.#current",
      "      this.#current",
    ]),

    role("a look-up is an order", ['  if (isLookUp) return "look-up";\n', ""]),
    role("a login is an order", ['  if (isLogin) return "login";\n', ""]),
    role("an order is any other call", ['return isSafe ? "other" : "order";', 'return "other";']),

    stop("the second reason counts", ["this.#reason ??= error;", "this.#reason = error;"]),
    stop("a step begins though the call has ended", [
      "    if (this.#reason) throw this.#reason;\n",
      "",
    ]),
    stop("the step is not ended", ["    this.#step?.abort(this.#reason);\n", ""]),
    stop("the wait between attempts is not ended", ["    this.#call?.abort(this.#reason);\n", ""]),
    stop("a signal that is asked for too late never aborts", [
      "      if (this.#reason) this.#call.abort(this.#reason);\n",
      "",
    ]),
    stop("a limit outlives its step", [
      "  finish(): void {\n    this.relax();\n",
      "  finish(): void {\n",
    ]),
    stop("an abort before the step is not heard", [
      "    if (signal.aborted) abort();\n    // The",
      "    if (false) abort();\n    // The",
    ]),

    stream("a chunk may take for ever", [
      '      this.#call.limit(() => "no further chunk");\n',
      "",
    ]),
    stream("the time to the headers goes on", [
      "    this.#call.stop.relax(); // the headers are there\n",
      "",
    ]),
    stream("a reader that waits is a late venue", [
      "      if (this.#signal.aborted) return;\n      stop.relax();",
      "      if (this.#signal.aborted) return;",
    ]),
    stream("a stream never ends", [
      "        controller.close();\n        return this.#end();",
      "        return this.#end();",
    ]),
    stream("a stream that ends keeps its call open", [
      "        controller.close();\n        return this.#end();",
      "        return controller.close();",
    ]),
    stream("close() does not break a stream", [
      '    else this.#signal.addEventListener("abort", this.#break);\n',
      "",
    ]),
    stream("a stream that is left keeps its connection", [
      "    await this.#reader?.cancel(reason);\n",
      "",
    ]),

    // The broker
    broker("close() does not wait for the session", [
      "await this.#session?.close();",
      "void this.#session?.close();",
    ]),
    broker("close() does not close the session", ["    await this.#session?.close();\n", ""]),
    broker("await using does not close the broker", [
      "  [Symbol.asyncDispose](): Promise<void> {\n    return this.close();",
      "  [Symbol.asyncDispose](): Promise<void> {\n    return Promise.resolve();",
    ]),
    broker("a second session takes the place of the first", [
      '    if (this.#session) throw new Error("Cannot initialise the session: there is one already");\n',
      "",
    ]),
    broker("a closed broker opens a session", [
      '    if (this.#isClosed) throw new Error("Cannot initialise the session: the broker is closed");\n',
      "",
    ]),
    broker("renew() is taken before a field could be written", [
      "onUnauthorized: () => options.onUnauthorized ?? (this.renew && (() => this.renew!())),",
      "onUnauthorized: ((known) => () => options.onUnauthorized ?? known)(this.renew),",
    ]),
    broker("failure() is taken before a field could be written", [
      "failure: () => options.failure ?? (this.failure && ((reply: Reply) => this.failure!(reply))),",
      "failure: ((known) => () => options.failure ?? known)(this.failure),",
    ]),
    broker("failure() is no method of the broker", [
      "((reply: Reply) => this.failure!(reply))",
      "this.failure.bind(undefined)",
    ]),
    broker("the option failure loses against the method", [
      "options.failure ?? (this.failure && ((reply: Reply) => this.failure!(reply)))",
      "(this.failure && ((reply: Reply) => this.failure!(reply))) ?? options.failure",
    ]),

    session("a call that waits for the login may not be aborted", [
      "await abortable(this.#venue.renewal.hold(call.id), signal);",
      "await this.#venue.renewal.hold(call.id);",
    ]),
    prepared("a signal that is none is let in", [
      '    checkSignal(task, "signal", options.signal);\n',
      "",
    ]),
    prepared("reconcile is not checked before the order is sent", [
      "    if (reconcile !== undefined) checkReconcile(reconcile);\n",
      "",
    ]),
    prepared("retry is not checked before the order is sent", [
      'checkRetryOptions(task, retry, "retry");',
      ";",
    ]),
    renewal("a failed login is a success", [
      "if (failure) one.reject(failure.error);\n        else one.resolve();",
      "one.resolve();",
    ]),
    renewal("calls that waited for the login start in another order", [
      ".sort(([a], [b]) => a - b)",
      ".sort(([a], [b]) => b - a)",
    ]),
    stream("a stream may be of any length", [
      "      if (this.#size > maxBytes) throw tooLarge(maxBytes);\n",
      "",
    ]),
    stream("a stream that was cut ends well", [
      "        checkWhole(this.#response, this.#size);\n",
      "",
    ]),

    session("close() does not end the login", [
      '    this.#venue.renewal.giveUp("closed", "the session was closed");\n',
      "",
    ]),
    exchange("failure() that throws hides the refusal", [
      "    if (reply.status >= 400) return undefined;\n",
      "",
    ]),
    exchange("an error that failure() throws is not its own", [
      "      if (error instanceof BrokerError) return error;\n      mistake",
      "      mistake",
    ]),
    exchange("failure() may return anything", [
      "      if (isBrokerError(found)) return found;\n",
      "      return found as BrokerError;\n",
    ]),
    renewal("a login that never ends is waited for", [
      'const late = () => this.giveUp("timeout", `not done within ${limit} ms`);',
      "const late = () => {};",
    ]),

    json("a large integer is rounded", ["hasLongNumber(text) ? JSON.parse(text, exact) : ", ""]),
    reply("what parse() threw is worth repeating", [
      '`parse() threw ${nameOf(error)}`, "decode", {}, text)',
      '`parse() threw ${nameOf(error)}`, "decode", { worthwhile: true }, text)',
    ]),
    exchange("failure() is not asked about a refusal", [
      "    this.#own = this.#failure({ data: tryJson(text), status, headers });\n",
      "",
    ]),
    exchange("maxBytes is not passed on", [
      "return decode(response, maxBytes, parse as",
      "return decode(response, Infinity, parse as",
    ], ["const { method, parse, maxBytes } = this", "const { method, parse } = this"]),
    exchange("the maxBytes of a refusal are not kept", [
      "readRefusal(response, this.#call.request.maxBytes)",
      "readRefusal(response, Infinity)",
    ]),

    // Chain
    chain("the youngest is the first", [
      "link.before = this.#end.before;",
      "link.before = this.#end;",
    ], [
      "link.after = this.#end;",
      "link.after = this.#end.after;",
    ], [
      "link.before.after = this.#end.before = link;",
      "link.after.before = this.#end.after = link;",
    ]),
    chain("what was removed twice counts twice", [
      "    if (link.after === link) return false;\n",
      "",
    ]),
    chain("a link that was taken out keeps its neighbours alive", [
      "    link.before = link.after = link;\n",
      "",
    ]),
    chain("a chain only grows", ["    this.#size--;\n", ""]),

    // Timeouts
    timeouts("a timeout ends too early", [
      "const wait = since + this.delay - now;",
      "const wait = since + this.delay / 2 - now;",
    ]),
    timeouts("each call arms a timer", [
      "if (this.#timer === undefined) this.#arm(this.delay, now);",
      "this.#arm(this.delay, now);",
    ]),
    timeouts("what was removed is ended", ["!this.#pending.remove(place) || ", ""]),
    timeouts("a timer is left when nothing is under way", ["    clearTimeout(this.#timer);\n", ""]),
    timeouts("Infinity arms a timer", ["    if (this.delay === Infinity) return undefined;\n", ""]),
    timeouts("only the oldest is ended", ["        end();\n", "        end();\n        return;\n"]),
    timeouts("the timer is not believed where the clock stands still", [
      "const due = since + TOGETHER;",
      "const due = -Infinity;",
    ]),
    timeouts("a delay of more than 2^31 ms ends at once", ["Math.min(delay, MAX_TIMER)", "delay"]),
    timeouts("nothing is armed for those that came later", [
      "if (since >= due && wait > 0) return this.#arm(wait, since);",
      "if (since >= due && wait > 0) return;",
    ]),
    timeouts("a timer of an earlier millisecond is taken over", [
      "now >= this.#since + TOGETHER",
      "now >= this.#since + 1_000",
    ]),
    timeouts("no timer is taken over", ["now >= this.#since + TOGETHER", "true"]),
    timeouts("a timer that nobody takes over stays", [
      "    if (this.#pending.size === 0) this.stop();\n",
      "",
    ]),
    timeouts("a timer that was taken over is cleared", [
      "    if (this.#pending.size === 0) this.stop();\n",
      "    this.stop();\n",
    ]),
  ],
};
