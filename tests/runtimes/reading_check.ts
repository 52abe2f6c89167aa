/**
 * What arrives is what was sent, and what is read is what was answered, on every runtime: bodies of every
 * kind, bodies that end early, charsets, refusals that echo a key.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { type Body, BrokerError, type RequestOptions, Session } from "../../session.ts";
import { isNetworkError } from "../../retry.ts";
import { type Handler, LoopbackVenue, raw, reply } from "../../testing.ts";
import { check, run } from "./harness.ts";

const isDeno = "Deno" in globalThis;
const isNode = !isDeno && !("Bun" in globalThis);

/** Gives a venue and a session on it to a check, and closes both. */
async function using(
  fn: (venue: LoopbackVenue, session: Session) => Promise<void>,
): Promise<void> {
  const venue = await LoopbackVenue.listen();
  venue.on("*", { id: 1 });
  const headers = { "x-api-key": "aB3/cD+eF5gH7==" };
  const session = new Session({ baseUrl: venue.httpUrl, headers, timeout: 5_000, retry: false });
  try {
    await fn(venue, session);
  } finally {
    await session.close();
    await venue.close();
  }
}

async function failure(call: Promise<unknown>): Promise<BrokerError> {
  const error = await call.then((data) => assert.fail(`resolved to ${data}`), (error) => error);
  assert(error instanceof BrokerError, String(error));
  return error;
}

const file = () => {
  const form = new FormData();
  form.set("symbol", "INFY é");
  form.set("file", new File(["id,price\n1,0.0000001\n"], "orders.csv", { type: "text/csv" }));
  return form as Body;
};

check("what arrives is what was sent, for every kind of body", async () => {
  const sent: Record<string, [RequestOptions, type: RegExp, body: RegExp]> = {
    json: [
      { json: { price: 1e-7, size: 1e21, id: 9007199254740993n, text: "é/\n", at: new Date(0) } },
      /^application\/json$/,
      /^{"price":0\.0000001,"size":1000000000000000000000,"id":9007199254740993,"text":"é\/\\n","at":"1970-01-01T00:00:00\.000Z"}$/,
    ],
    form: [
      { form: { price: 1e-7, size: [1e21, 2], text: "é &" } },
      /^application\/x-www-form-urlencoded/,
      /^price=0\.0000001&size=1000000000000000000000&size=2&text=%C3%A9\+%26$/,
    ],
    "URLSearchParams": [{ body: new URLSearchParams("a=b+c") }, /^application\/x-www/, /^a=b\+c$/],
    text: [{ body: "é" }, /^text\/plain/, /^é$/],
    bytes: [{ body: new TextEncoder().encode("é\0") }, /^$/, /^é\0$/],
    buffer: [{ body: new TextEncoder().encode("é").buffer }, /^$/, /^é$/],
    Blob: [{ body: new Blob(["é"], { type: "text/csv" }) }, /^text\/csv$/, /^é$/],
    FormData: [
      { body: file() },
      /^multipart\/form-data; ?boundary=/,
      /name="symbol"\r\n\r\nINFY é\r\n[^]*filename="orders.csv"\r\nContent-Type: text\/csv\r\n\r\nid,price\n1,0.0000001\n\r\n--/i,
    ],
    none: [{}, /^$/, /^$/],
  };
  await using(async (venue, session) => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      for (const [kind, [options, type, body]] of Object.entries(sent)) {
        venue.requests.length = 0;
        await session.request(method, "?symbol=X", { ...options, query: { tiny: 1e-7 } });
        const [request] = venue.requests;
        assert.match(request.body, body, `${method} ${kind}`);
        const said = request.headers.get("content-type") ?? "";
        assert.match(said, type, `${method} ${kind}`);
        if (kind === "FormData") assert(request.body.includes(said.split("boundary=")[1]), said);
        assert.equal(request.target, "/?symbol=X&tiny=0.0000001");
      }
    }
  });
});

check("what JSON cannot say is invalid, and is not sent", async () => {
  await using(async (venue, session) => {
    const values = [NaN, Infinity, new Date("x"), new Map([[1, 2]]), Promise.resolve(1), () => 1];
    for (const price of values) {
      const error = await failure(session.post("orders", { json: { list: [{ price }] } }));
      assert.deepEqual([error.kind, error.outcome], ["invalid", "not-sent"]);
      assert.match(error.message, /json\.list\[0\]\.price is/);
    }
    assert.equal(venue.requests.length, 0);
  });
});

const csv = `symbol,price\n${
  Array.from({ length: 3_000 }, (_, i) => `S${i * 7919 % 3001},${i}`).join("\n")
}\n`;
const half = (bytes: Uint8Array) => bytes.subarray(0, bytes.length >> 1);
const packed: Record<string, Uint8Array> = {
  gzip: gzipSync(csv),
  deflate: deflateSync(csv),
  br: brotliCompressSync(csv),
};

/** Compresses only what is asked for, as servers do; `cut` makes the body of the whole. */
function polite(
  encoding: string,
  cut: (bytes: Uint8Array) => Uint8Array,
  isChunked: boolean,
): Handler {
  return ({ headers }) => {
    const isAsked = (headers.get("accept-encoding") ?? "").includes(encoding);
    const bytes = isAsked ? packed[encoding] : Buffer.from(csv);
    const body = cut(bytes);
    const lines = ["HTTP/1.1 200 OK", "content-type: text/csv", "connection: close"];
    if (isAsked) lines.push(`content-encoding: ${encoding}`);
    // A proxy that caches half an answer passes it on in good order.
    if (!isAsked) lines.push(`content-length: ${bytes.length}`);
    else if (isChunked) lines.push("transfer-encoding: chunked");
    else lines.push(`content-length: ${body.length}`);
    const head = `${lines.join("\r\n")}\r\n\r\n`;
    const [before, after] = isAsked && isChunked
      ? [`${body.length.toString(16)}\r\n`, "\r\n0\r\n\r\n"]
      : ["", ""];
    return raw(Buffer.concat([Buffer.from(head + before), body, Buffer.from(after)]));
  };
}

for (const encoding of Object.keys(packed)) {
  check(`half of a ${encoding} body is never taken for all of it`, async () => {
    await using(async (venue, session) => {
      for (const chunked of [false, true]) {
        for (const parse of [undefined, "text", "bytes"] as const) {
          venue.will("*", polite(encoding, half, chunked));
          const error = await failure(session.get("instruments", { parse }));
          assert.deepEqual([error.kind, error.outcome], ["network", "unknown"]);
          venue.will("*", polite(encoding, (bytes) => bytes, chunked));
          const whole = await session.get<string | Uint8Array>("instruments", { parse });
          const text = typeof whole === "string" ? whole : new TextDecoder().decode(whole);
          assert.equal(text, csv);
        }
      }
    });
  });

  check(
    `${encoding} that nobody asked for is undone or an error, and half of it always an error`,
    async () => {
      await using(async (venue, session) => {
        const headers = { "content-type": "text/csv", "content-encoding": encoding };
        venue.will("*", reply(200, packed[encoding], headers));
        const whole = session.get("instruments");
        if (isNode || isDeno && encoding === "deflate") {
          assert.equal((await failure(whole)).kind, "network");
        } else assert.equal(await whole, csv);
        venue.will("*", reply(200, half(packed[encoding]), headers));
        for (const parse of [undefined, "text", "bytes", String, "stream"] as const) {
          const read = async () => {
            const data: unknown = await session.get("instruments", { parse });
            if (parse === "stream") await new Response(data as ReadableStream).text();
          };
          const error = await failure(read());
          assert.deepEqual([error.kind, error.outcome], ["network", "unknown"]);
        }
      });
    },
  );

  check(`JSON in ${encoding} that nobody asked for is whole, or an error`, async () => {
    if (isDeno && encoding === "deflate") return; // an error always
    await using(async (venue, session) => {
      const pack = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }[encoding]!;
      for (const type of ["application/json", "text/plain"]) {
        const headers = { "content-type": type, "content-encoding": encoding };
        const body = pack(JSON.stringify({ list: csv }));
        venue.will("*", reply(200, body, headers));
        assert.deepEqual(await session.get("instruments"), { list: csv });
        venue.will("*", reply(200, half(body), headers));
        assert.match((await failure(session.get("instruments"))).kind, /^(?:network|decode)$/);
      }
    });
  });

  check(`a call that asks for ${encoding} itself gets it undone`, async () => {
    if (isDeno && encoding === "deflate") return; // an error always
    await using(async (venue, session) => {
      const headers = { "content-type": "text/csv", "content-encoding": encoding };
      venue.will("*", reply(200, packed[encoding], headers));
      const asked = { headers: { "accept-encoding": encoding } };
      assert.equal(await session.get("instruments", asked), csv);
    });
  });

  check(`0 bytes that are said to be ${encoding} are no empty answer`, async () => {
    await using(async (venue, session) => {
      const head = `HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ncontent-encoding: ${encoding}\r\n`;
      const answers = [
        raw(`${head}content-length: 0\r\n\r\n`),
        raw(`${head}transfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
        raw(`${head}\r\n`),
      ];
      for (const answer of answers) {
        venue.will("*", answer);
        assert.equal((await failure(session.get("instruments"))).kind, "network");
      }
    });
  });
}

check(
  "an order that is answered with an empty 201 or 202 is done, and its headers can be read",
  async () => {
    await using(async (venue, session) => {
      for (const status of [201, 202]) {
        for (const method of ["POST", "PUT"]) {
          venue.will("*", reply(status, "", { location: "/orders/7" }));
          const answer = await session.request(method, "orders", { json: {} });
          assert.deepEqual([answer.data, answer.status], [undefined, status]);
          assert.equal(answer.headers.get("location"), "/orders/7");
        }
      }
    });
  },
);

check("a body is decoded in the charset that its type declares", async () => {
  const text = "Zürich £";
  const latin1 = Uint8Array.from(text, (char) => char.charCodeAt(0));
  await using(async (venue, session) => {
    for (
      const [type, body] of [
        ["text/csv; charset=iso-8859-1", latin1],
        ["text/plain;charset=windows-1252", latin1],
        ["text/csv", new TextEncoder().encode(`\ufeff${text}`)],
        ["text/csv; charset=utf-8", new TextEncoder().encode(text)],
      ] as const
    ) {
      venue.will("*", reply(200, body, { "content-type": type }));
      assert.equal(await session.get("x"), text, type);
      venue.will("*", reply(400, body, { "content-type": type }));
      assert.equal((await failure(session.get("x"))).body, text, type);
    }
  });
});

check("an error in JSON under another type is found, whatever the call asks for", async () => {
  const venue = await LoopbackVenue.listen();
  const session = new Session({
    baseUrl: venue.httpUrl,
    retry: false,
    failure: ({ data }) => {
      const { retCode, msg } = Object(data);
      if (!retCode) return undefined;
      return new BrokerError(msg, { kind: "rejected", outcome: "rejected", code: retCode });
    },
  });
  for (const type of ["application/octet-stream", "text/csv", "text/html", "application/zip"]) {
    for (const parse of [undefined, "text", "bytes", (text: string) => text.split("\n")] as const) {
      const headers = { "content-type": type };
      venue.will("*", reply(200, '{"retCode":10001,"msg":"No margin"}', headers));
      const error = await failure(session.post("orders", { json: {}, parse: parse as "text" }));
      assert.deepEqual([error.outcome, error.code, error.message], [
        "rejected",
        10001,
        "No margin",
      ]);
    }
  }
  venue.will("*", reply(200, '{"retCode":0}', { "content-type": "text/csv" }));
  assert.equal(await session.get("x"), '{"retCode":0}');
  await session.close();
  await venue.close();
});

check("a key that the venue echoes is shown in no spelling", async () => {
  await using(async (venue, session) => {
    for (
      const echo of [
        "aB3\\/cD+eF5gH7==",
        "aB3\\/cD\\u002BeF5gH7==",
        "aB3&#x2F;cD&plus;eF5gH7&#61;=",
        "aB3%2fcD%2BeF5gH7%3D%3D",
        "aB3%252FcD%252BeF5gH7%253D%253D",
        "aB3/cD eF5gH7==",
        "AB3/CD+EF5GH7==",
        '\\"aB3\\\\\\/cD+eF5gH7==\\"',
      ]
    ) {
      venue.will("*", reply(403, `{"message":"no ${echo} here"}`));
      const { body } = await failure(session.get("x"));
      assert.match(body!, /^{"message":"no (?:\\")?\[redacted\](?:\\")? here"}$/, echo);
    }
  });
});

check("a venue that cannot be reached was sent nothing, and that is a network error", async () => {
  const venue = await LoopbackVenue.listen();
  await venue.close();
  for (const baseUrl of [venue.httpUrl, "http://venue.invalid"]) {
    const session = new Session({ baseUrl, retry: false });
    const error = await failure(session.post("orders", { json: {} }));
    assert.deepEqual([error.kind, error.outcome], ["network", "not-sent"]);
    assert(isNetworkError(await fetch(baseUrl).catch((error) => error)));
    await session.close();
  }
});

check("a port that fetch forbids was sent nothing", async () => {
  const session = new Session({ baseUrl: "http://127.0.0.1:6000", retry: false });
  assert.equal((await failure(session.post("orders", { json: {} }))).outcome, "not-sent");
  await session.close();
});

await run();
