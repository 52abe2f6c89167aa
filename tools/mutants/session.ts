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
    transport("a GET is refused in a browser", [
      "this.#isUnknown && !isSafe && !isIdempotent",
      "this.#isUnknown && !isIdempotent",
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
      "isSafe ? undefined : this.#idle?.look()",
      "undefined",
    ]),
    transport("an order waits though the session has a fetch of its own", [
      ' === "deno" && !options.fetch) this',
      ' === "deno") this',
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
      '    init.headers = { ...init.headers, "content-length": `${blob.size}` } as HeadersInit;\n',
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

    idle("an order waits right after an answer", ["if (this.#isFresh()) return undefined;", ""]),
    idle("an order never waits", [
      "return performance.now() - this.#looked <= BLIND;",
      "return true;",
    ]),
    idle("each order waits on its own", ["this.#looking ??= this", "this.#looking = this"]),
    idle("a wait that is over is joined", [".finally(() => this.#looking = undefined)", ""]),
    idle("an order waits for one turn", ["turn(TURNS, resolve)", "turn(1, resolve)"]),
    idle("an old Deno waits for many turns", [
      "    if (this.#isOld) return",
      "    if (false) return",
    ]),
    idle("an older answer counts for more than a newer one", [
      "if (sent > this.#looked) this",
      "this",
    ]),

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
