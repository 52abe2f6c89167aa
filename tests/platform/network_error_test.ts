import { runInNewContext } from "node:vm";
import { assert, assertEquals } from "@std/assert";
import { isNetworkError, networkFault } from "../../platform/network_error.ts";

function coded(code: string, fields: object = {}): Error {
  return Object.assign(new Error("native text"), { code, ...fields });
}

function failed(cause: unknown): TypeError {
  return new TypeError("fetch failed", { cause });
}

function deno(text: string): TypeError {
  return failed(new Error(`error sending request for url (https://venue.example/x?k=1): ${text}`));
}

/** `[what was thrown, isNetwork, isUnsent, isTls]`, each under its code or text. */
type Row = [error: unknown, isNetwork: boolean, isUnsent: boolean, isTls: boolean];

const UNREACHED = [
  "EAI_AGAIN",
  "EAI_FAIL",
  "EAI_NODATA",
  "EAI_NONAME",
  "ECONNREFUSED",
  "ENOTFOUND",
  "ERR_PROXY_TUNNEL",
  "UND_ERR_CONNECT_TIMEOUT",
  "ConnectionRefused",
  "DNSException",
  "FailedToOpenSocket",
];
const BROKEN = [
  "ECONNABORTED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "ENOTCONN",
  "EPIPE",
  "ETIMEDOUT",
  "HPE_CLOSED_CONNECTION",
  "HPE_INVALID_EOF_STATE",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_SOCKET",
  "ConnectionClosed",
  "ConnectionReset",
  "Timeout",
];
const UNTRUSTED = [
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "HOSTNAME_MISMATCH",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "UND_ERR_PRX_TLS",
];
/** The venue may refuse a client's certificate after it has read the request. */
const TLS = ["EPROTO", "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "ERR_SSL_WRONG_VERSION_NUMBER"];

const DENO: [text: string, isUnsent: boolean][] = [
  ["client error (Connect): tcp connect error: Connection refused (os error 111)", true],
  ["client error (Connect): dns error: failed to lookup address information", true],
  ["client error (Connect): tls handshake eof", true],
  ["client error (Connect): unsuccessful tunnel", true],
  ["client error (SendRequest): connection closed before message completed", false],
  ["client error (SendRequest): connection error: Connection reset by peer (os error 104)", false],
  ["client error (SendRequest): connection error: Broken pipe (os error 32)", false],
  ["client error (SendRequest): http2 error: stream error received: refused stream", false],
];
/** Texts that stand alone. */
const TEXTS = [
  "error reading a body from connection",
  "Failed to fetch", // Chromium
  "Failed to fetch (api.venue.example)",
  "network error",
  "NetworkError when attempting to fetch resource.", // Firefox
  "Error in input stream",
  "Load failed", // Safari
  "The network connection was lost.",
  "The Internet connection appears to be offline.",
  "Network connection lost.", // workerd
];
const DENO_TLS = ["invalid peer certificate: UnknownIssuer", "invalid peer certificate: Expired"];

const TABLE: Record<string, Row> = {
  ...rows(UNREACHED, (code) => [failed(coded(code)), true, true, false]),
  ...rows(BROKEN, (code) => [failed(coded(code)), true, false, false]),
  ...rows(UNTRUSTED, (code) => [failed(coded(code)), false, true, true]),
  ...rows(TLS, (code) => [failed(coded(code)), false, false, true]),
  ...rows(TEXTS, (text) => [new TypeError(text), true, false, false]),
  ...rows(DENO_TLS, (text) => [deno(`client error (Connect): ${text}`), false, true, true]),
  ...rows(
    ["received fatal alert: CertificateRequired", "received corrupt message of type Handshake"],
    (text) => [deno(`client error (SendRequest): connection error: ${text}`), false, false, true],
  ),
  ...Object.fromEntries(
    DENO.map(([text, isUnsent]) => [text, [deno(text), true, isUnsent, false]]),
  ),
  "a timeout": [new DOMException("Signal timed out", "TimeoutError"), true, false, false],
  "connect timed out": [failed(coded("ETIMEDOUT", { syscall: "connect" })), true, true, false],
  "no route": [failed(coded("EHOSTUNREACH", { syscall: "connect" })), true, true, false],
  "a name": [failed(coded("EBUSY", { syscall: "getaddrinfo" })), true, true, false],
  "a read": [failed(coded("EHOSTUNREACH", { syscall: "read" })), true, false, false],
  "Node's forbidden port": [failed(new Error("bad port")), false, true, false],
  "Deno's forbidden port": [
    new TypeError("Fetch failed: Requests to port 6000 are blocked"),
    false,
    true,
    false,
  ],
  "undici's proxy": [
    failed(
      Object.assign(new Error("Proxy response (403) !== 200 when HTTP Tunneling"), {
        code: "UND_ERR_ABORTED",
      }),
    ),
    true,
    true,
    false,
  ],
};

function rows(keys: string[], row: (key: string) => Row): Record<string, Row> {
  return Object.fromEntries(keys.map((key) => [key, row(key)]));
}

for (const [name, [error, isNetwork, isUnsent, isTls]] of Object.entries(TABLE)) {
  Deno.test(`networkFault() reads ${name}`, () => {
    const fault = networkFault(error);
    assertEquals([fault.isNetwork, fault.isUnsent, fault.isTls], [isNetwork, isUnsent, isTls]);
    assertEquals(isNetworkError(error), isNetwork);
    assertEquals(fault.refusal, undefined);
    if (/^\w+$/.test(name)) assertEquals(fault.code, name);
  });
}

Deno.test("networkFault() reads each part of an AggregateError", () => {
  const connect = { syscall: "connect" };
  const refused = new AggregateError([coded("ENETUNREACH", connect), coded("ECONNREFUSED")], "");
  // Node gives it the code of the first, without the system call.
  assertEquals(networkFault(failed(Object.assign(refused, { code: "ENETUNREACH" }))), {
    isNetwork: true,
    isUnsent: true,
    isTls: false,
    code: "ENETUNREACH",
    refusal: undefined,
  });
  for (
    const parts of [
      [coded("ECONNREFUSED"), coded("ECONNRESET")],
      [coded("ECONNRESET"), coded("ECONNREFUSED")],
      [coded("ECONNREFUSED"), new AggregateError([coded("ECONNREFUSED"), coded("EPIPE")])],
    ]
  ) {
    const fault = networkFault(failed(new AggregateError(parts)));
    assertEquals([fault.isNetwork, fault.isUnsent], [true, false], "one may have got through");
  }
  const nested = new AggregateError([failed(new AggregateError([coded("ECONNREFUSED")]))]);
  assert(networkFault(nested).isUnsent);
  assert(!networkFault(new AggregateError([])).isUnsent);
  assert(!isNetworkError(new AggregateError([new TypeError("Invalid URL")])));
});

Deno.test("networkFault() reads errors of another realm", () => {
  for (
    const code of [
      "Object.assign(new Error('x'), { code: 'ECONNREFUSED' })",
      "new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ENOTFOUND' }) })",
      "Object.assign(new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]))",
      "Object.assign(new Error('x'), { code: 'ETIMEDOUT', syscall: 'connect' })",
    ]
  ) {
    const fault = networkFault(failed(runInNewContext(code)));
    assertEquals([fault.isNetwork, fault.isUnsent], [true, true], code);
  }
});

Deno.test("networkFault() names the permission that a runtime denies: nothing was sent", () => {
  const denied = (text: string, name = "NotCapable") => Object.assign(new Error(text), { name });
  for (
    const [error, words] of [
      [
        denied(`Requires net access to "api.kite.trade:443", run again with the --allow-net flag`),
        "--allow-net=api.kite.trade:443",
      ],
      [failed(denied(`Requires net access to "[::1]:80", run again`)), "--allow-net=[::1]:80"],
      [denied(`Requires net access to "127.0.0.1", run`, "PermissionDenied"), "=127.0.0.1"],
      [failed(coded("ERR_ACCESS_DENIED", { permission: "Net" })), "--allow-net"],
    ] as const
  ) {
    const { refusal, isUnsent, isNetwork } = networkFault(error);
    assert(refusal?.includes(words), refusal);
    assertEquals([isUnsent, isNetwork], [true, false]);
  }
  // A fetch of the user's own may have sent the order before it was refused a file.
  for (
    const error of [
      denied(`Requires write access to "orders.log", run again with the --allow-write flag`),
      denied(`Requires net access to "x y?key=secret"`),
      coded("ERR_ACCESS_DENIED", { permission: "FileSystemWrite" }),
      new Error("Not a bad port"),
    ]
  ) {
    const { refusal, isUnsent } = networkFault(error);
    assertEquals([refusal, isUnsent], [undefined, false]);
  }
});

Deno.test("networkFault() is unmoved by programming errors, and by texts and codes that only look alike", () => {
  const circle = new Error("circle");
  circle.cause = new AggregateError([circle], "round", { cause: circle });
  for (
    const error of [
      new RangeError("Invalid array length"),
      new TypeError("x is not a function"),
      new SyntaxError("Unexpected token"),
      new ReferenceError("fetch is not defined"),
      new DOMException("Aborted", "AbortError"),
      new TypeError("Failed to fetch dynamically imported module: file:///x.ts"),
      new TypeError("We failed to fetch"),
      new Error("Load failed for x"),
      coded("UND_ERR_ABORTED"),
      coded("ERR_INVALID_ARG_TYPE"),
      Object.assign(new Error("x"), { code: 111 }),
      { name: "TimeoutError", code: "ECONNREFUSED", message: "dns error" },
      "ECONNREFUSED",
      circle,
      null,
      undefined,
    ]
  ) {
    const { isNetwork, isUnsent, isTls, refusal } = networkFault(error);
    assertEquals(
      [isNetwork, isUnsent, isTls, refusal],
      [false, false, false, undefined],
      `${error}`,
    );
  }
});

Deno.test("networkFault() gives no code that could hold anything but a code", () => {
  assertEquals(networkFault(coded("https://venue.example/?key=secret")).code, undefined);
  assertEquals(networkFault(failed(coded("ECONNRESET"))).code, "ECONNRESET");
});

Deno.test("networkFault() reads what this runtime says of a refused and of a forbidden port", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const thrown = (url: string) => fetch(url).catch((error) => error);
  const refused = networkFault(await thrown(`http://127.0.0.1:${port}`));
  assertEquals([refused.isNetwork, refused.isUnsent], [true, true]);
  const forbidden = networkFault(await thrown("http://127.0.0.1:6000"));
  assertEquals([forbidden.isNetwork, forbidden.isUnsent], [false, true]);
});
