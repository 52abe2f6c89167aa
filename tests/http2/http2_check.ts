/**
 * Orders over HTTP/2, through Deno's own fetch and through undici on Node. Faults of the stream and of
 * the connection execute no order twice, and the outcome of each order is right.
 *
 * @module
 */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { BrokerError, type RequestOptions, Session, type SessionOptions } from "../../session.ts";
import { selfSigned } from "../runtimes/certificate.ts";
import { check, run, runtime } from "../runtimes/harness.ts";
import {
  type Act,
  answer,
  CODE,
  data,
  FRAME,
  frame,
  FrameServer,
  goAway,
  head,
  resetStream,
  type Stream,
} from "./frame_server.ts";

const certificate = selfSigned();

/** Ends the connection once all frames have left. */
function cut({ socket }: Stream): void {
  setTimeout(() => socket.end(), 20);
}

function reset({ socket }: Stream): void {
  setTimeout(() => socket.destroy(), 20);
}

const promised = { headers: { "content-type": "application/json", "content-length": "100" } };

/** Begins a body that promises more. */
function half(stream: Stream): void {
  head(stream, promised);
  data(stream, '{"half":');
}

/** The faults, with the kinds of error and the outcome that each may have. */
const FAULTS: Record<string, [act: Act, kinds: string[], outcome: string]> = {
  "REFUSED_STREAM": [(s) => resetStream(s, CODE.REFUSED_STREAM), ["network"], "unknown"],
  "CANCEL before an answer": [(s) => resetStream(s, CODE.CANCEL), ["network"], "unknown"],
  "NO_ERROR before an answer": [(s) => resetStream(s, CODE.NO_ERROR), ["network"], "unknown"],
  "INTERNAL_ERROR": [(s) => resetStream(s, CODE.INTERNAL_ERROR), ["network"], "unknown"],
  "HTTP_1_1_REQUIRED": [(s) => resetStream(s, CODE.HTTP_1_1_REQUIRED), ["network"], "unknown"],
  "ENHANCE_YOUR_CALM": [(s) => resetStream(s, CODE.ENHANCE_YOUR_CALM), ["network"], "unknown"],
  "CANCEL after the head": [
    (s) => {
      head(s, promised);
      resetStream(s, CODE.CANCEL);
    },
    ["network", "decode"], // Deno takes it for an empty body
    "unknown",
  ],
  "INTERNAL_ERROR in the body": [
    (s) => {
      half(s);
      resetStream(s, CODE.INTERNAL_ERROR);
    },
    ["network"],
    "unknown",
  ],
  "CANCEL in the body": [
    (s) => {
      half(s);
      resetStream(s, CODE.CANCEL);
    },
    ["network", "decode"], // Deno takes it for the end of the body
    "unknown",
  ],
  "NO_ERROR in the body": [
    (s) => {
      half(s);
      resetStream(s, CODE.NO_ERROR);
    },
    ["network", "decode"],
    "unknown",
  ],
  "a GOAWAY below the order": [
    (s) => {
      goAway(s, s.id - 2, CODE.NO_ERROR);
      cut(s);
    },
    ["network"],
    "unknown",
  ],
  "a GOAWAY below the order, ENHANCE_YOUR_CALM": [
    (s) => {
      goAway(s, s.id - 2, CODE.ENHANCE_YOUR_CALM);
      cut(s);
    },
    ["network"],
    "unknown",
  ],
  "a GOAWAY above the order": [
    (s) => {
      goAway(s, 2 ** 31 - 1, CODE.NO_ERROR);
      cut(s);
    },
    ["network"],
    "unknown",
  ],
  "a GOAWAY of the order, PROTOCOL_ERROR": [
    (s) => {
      goAway(s, s.id, CODE.PROTOCOL_ERROR);
      cut(s);
    },
    ["network"],
    "unknown",
  ],
  "a connection cut before an answer": [cut, ["network"], "unknown"],
  "a connection reset before an answer": [reset, ["network"], "unknown"],
  "a connection cut in the head": [
    (s) => {
      s.socket.write(frame(FRAME.HEADERS, 4, s.id, new Uint8Array(40)).slice(0, 20));
      cut(s);
    },
    ["network"],
    "unknown",
  ],
  "a connection cut in the body": [
    (s) => {
      half(s);
      cut(s);
    },
    ["network"],
    "unknown",
  ],
  "garbage": [
    (s) => void s.socket.write(frame(FRAME.DATA, 0, 0, [1, 2, 3])), // no stream has the number 0
    ["network"],
    "unknown",
  ],
  "silence": [() => {}, ["timeout"], "unknown"],
  "a 408": [answer("{}", 408), ["timeout"], "unknown"],
  "a 421": [answer("{}", 421), ["rejected"], "rejected"],
  "a 400": [answer("{}", 400), ["rejected"], "rejected"],
  "a 503": [answer("{}", 503), ["network"], "unknown"],
};

const BODIES: Record<string, () => RequestOptions> = {
  json: () => ({ json: { quantity: 1 } }),
  form: () => ({ form: { quantity: 1 } }),
  bytes: () => ({ body: new Uint8Array(40_000) }),
  FormData: () => {
    const form = new FormData();
    form.set("quantity", "1");
    return { body: form };
  },
  none: () => ({}),
};

/** A client that speaks HTTP/2 and trusts the certificate. */
interface Client extends Partial<SessionOptions> {
  end(): unknown;
}

/** The clients of this runtime by name. */
const CLIENTS: Record<string, () => Promise<Client>> = runtime === "deno"
  ? { "Deno's fetch": denoFetch }
  : { "undici": undiciFetch };

function denoFetch(): Promise<Client> {
  const client = Deno.createHttpClient({ caCerts: [certificate.cert] });
  return Promise.resolve({ fetchOptions: { client }, end: () => client.close() });
}

async function undiciFetch(): Promise<Client> {
  const { Agent, fetch } = await import("npm:undici@8.13.1");
  const dispatcher = new Agent({ allowH2: true, connect: { ca: certificate.cert } });
  return {
    fetch: fetch as unknown as typeof globalThis.fetch,
    fetchOptions: { dispatcher },
    end: () => dispatcher.destroy(),
  };
}

function open(server: FrameServer, { end: _, ...client }: Client, timeout: number): Session {
  return new Session({
    baseUrl: server.url,
    timeout,
    retry: { baseWait: 1, jitter: 0 },
    ...client,
  });
}

for (const [by, makeClient] of Object.entries(CLIENTS)) {
  for (const [name, [act, kinds, outcome]] of Object.entries(FAULTS)) {
    check(
      `${by}: an order over HTTP/2 is executed once, whatever its method and body: ${name}`,
      async () => {
        const server = await FrameServer.listen(certificate);
        const client = await makeClient();
        const session = open(server, client, name === "silence" ? 300 : 5_000);
        for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
          for (const [body, options] of Object.entries(BODIES)) {
            const cell = `${method} with ${body}`;
            server.will(answer());
            await session.get("warm");
            server.requests.length = 0;
            server.will(act, answer()); // a request that comes again would be answered
            const error = await session.request(method, "orders", options()).then(
              (reply) => assert.fail(`${cell} resolved to ${inspect(reply.data)}`),
              (error) => error,
            );
            assert(error instanceof BrokerError, `${cell}: ${inspect(error)}`);
            await new Promise((resolve) => setTimeout(resolve, 10)); // a late repeat would come now
            assert.equal(server.requests.length, 1, `${cell} came again: ${error}`);
            const [{ size, id }] = server.requests;
            assert.equal(size === 0, body === "none", `${cell} had ${size} bytes`);
            assert(id > 1, `${cell}: not on a warm connection`);
            assert.equal(error.outcome, outcome, `${cell}: ${error}`);
            assert(kinds.includes(error.kind), `${cell}: ${error.kind}: ${error}`);
            assert.equal(error.retriable, false, cell);
          }
        }
        await session.close();
        await client.end();
        await server.close();
      },
      { timeout: 60_000 },
    );
  }

  check(
    `${by}: an order that is answered after a GOAWAY above it has been executed once`,
    async () => {
      const server = await FrameServer.listen(certificate);
      const client = await makeClient();
      const session = open(server, client, 5_000);
      for (const method of ["POST", "DELETE"]) {
        await session.get("warm");
        server.requests.length = 0;
        server.will((stream) => {
          goAway(stream, stream.id, CODE.NO_ERROR);
          setTimeout(() => answer()(stream), 20);
        }, answer());
        const { data } = await session.request(method, "orders", BODIES.json());
        assert.deepEqual(data, { order_id: 1 });
        assert.equal(server.requests.length, 1);
      }
      await session.close();
      await client.end();
      await server.close();
    },
  );

  check(`${by}: a GET over HTTP/2 is repeated until it is answered`, async () => {
    const server = await FrameServer.listen(certificate);
    const client = await makeClient();
    const session = open(server, client, 5_000);
    for (const name of ["REFUSED_STREAM", "INTERNAL_ERROR", "a connection cut in the body"]) {
      server.will(FAULTS[name][0], FAULTS[name][0], answer());
      assert.deepEqual(await session.get("book"), { order_id: 1 }, name);
    }
    await session.close();
    await client.end();
    await server.close();
  });
}

if (runtime === "deno") {
  check("Deno's own fetch of a string is executed twice, so the kind of body counts", async () => {
    const server = await FrameServer.listen(certificate);
    const client = Deno.createHttpClient({ caCerts: [certificate.cert] });
    for (const name of ["REFUSED_STREAM", "a GOAWAY below the order"]) {
      server.will(answer());
      await (await fetch(server.url, { client })).text();
      server.requests.length = 0;
      server.will(FAULTS[name][0], answer());
      await (await fetch(server.url, { client, method: "POST", body: "x" })).text();
      assert.equal(server.requests.length, 2, name);
    }
    client.close();
    await server.close();
  });
}

await run();
