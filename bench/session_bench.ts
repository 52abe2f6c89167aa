// deno-lint-ignore-file no-import-prefix -- rivals are no dependencies of the library
/**
 * Calls per second through HTTP clients, with raw `fetch` as the limit.
 *
 *     deno task bench session
 *
 * The venue is a process of its own on loopback, and answers a quote of 1 kB at once: what is measured is what a
 * client costs. Ours has every promise on: a throttler, a timeout, a limit on the answer, retries, secrets kept.
 *
 * @module
 */

import axios from "npm:axios@1.21.1";
import got from "npm:got@16.1.0";
import ky from "npm:ky@2.1.0";
import { ofetch } from "npm:ofetch@1.5.1";
import { up } from "npm:up-fetch@2.6.1";
import wretch from "npm:wretch@3.0.9";
import { Session } from "../session.ts";
import { Throttler } from "../throttler.ts";

const ROUNDS = 61;
const CALLS = 256;
const OURS = "@aio-trader/core";
/** What the promises ask of the runtime, without a line of the session. */
const FLOOR = "fetch with a signal and no redirect";
/** The part of raw fetch that ours must reach, at 1 and at 16 in flight. */
const LEAST = { GET: 0.90, POST: 0.75 };
/** The rivals that ours must be ahead of. */
const SLOWER = ["ofetch", "wretch", "ky", "up-fetch", "axios", "got"];

const ORDER = { symbol: "INFY", quantity: 1, price: 1543.2 };
/** A quote as brokers send it, with five levels a side. */
const QUOTE = {
  status: "success",
  data: {
    "NSE:INFY": {
      instrument_token: 408065,
      timestamp: "2026-06-08 15:45:56",
      last_price: 1412.95,
      last_quantity: 5,
      average_price: 1412.47,
      volume: 7360198,
      buy_quantity: 0,
      sell_quantity: 5191,
      ohlc: { open: 1396, high: 1421.75, low: 1395.55, close: 1389.65 },
      lower_circuit_limit: 1250.7,
      upper_circuit_limit: 1528.6,
      depth: { buy: levels(1412.9, -0.05), sell: levels(1413, 0.05) },
    },
  },
};

function levels(price: number, step: number): unknown[] {
  return Array.from({ length: 5 }, (_, i) => ({
    price: Number((price + i * step).toFixed(2)),
    quantity: 191 * (i + 1),
    orders: 3 + i,
  }));
}

type Contender = () => Promise<unknown>;

/** The headers by which an answer shows its type, whether it is whole, and how long it is. */
const READ = [
  "content-type",
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "content-length",
];

/** The same GET through each client. */
function reads(url: string, headers: Record<string, string>): Record<string, Contender> {
  const session = new Session({
    baseUrl: url,
    headers,
    throttlers: [new Throttler({ limit: 1e9, period: 1_000 })],
  });
  const kyClient = ky.create({ headers });
  const ofetchClient = ofetch.create({ baseURL: url, headers });
  const wretchClient = wretch(url).headers(headers);
  const upClient = up(fetch, () => ({ baseUrl: url, headers }));
  const axiosClient = axios.create({ baseURL: url, headers });
  const gotClient = got.extend({ headers, responseType: "json" });
  return {
    "raw fetch": async () => (await fetch(`${url}quote`, { headers })).json(),
    [FLOOR]: async () => {
      const { signal } = new AbortController();
      const response = await fetch(`${url}quote`, { headers, redirect: "manual", signal });
      for (const name of READ) response.headers.get(name);
      return JSON.parse(await response.text());
    },
    [OURS]: () => session.get("quote"),
    "ofetch": () => ofetchClient("quote"),
    "wretch": () => wretchClient.url("quote").get().json(),
    "ky": () => kyClient.get(`${url}quote`).json(),
    "up-fetch": () => upClient("quote"),
    "axios": async () => (await axiosClient.get("quote")).data,
    "got": async () => (await gotClient.get(`${url}quote`)).body,
  };
}

/** The same order, through what can send it. */
function orders(url: string, headers: Record<string, string>): Record<string, Contender> {
  const session = new Session({
    baseUrl: url,
    headers,
    throttlers: [new Throttler({ limit: 1e9, period: 1_000 })],
  });
  const init = (body: BodyInit): RequestInit => ({
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body,
  });
  const text = JSON.stringify(ORDER);
  return {
    "raw fetch": async () => (await fetch(`${url}orders`, init(text))).json(),
    "raw fetch of a Blob": async () => (await fetch(`${url}orders`, init(new Blob([text])))).json(),
    [OURS]: () => session.post("orders", { json: ORDER }),
  };
}

/** Calls per second. */
async function rate(call: Contender, inFlight: number): Promise<number> {
  let left = CALLS;
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (left-- > 0) await call();
  }));
  return CALLS / (performance.now() - start) * 1_000;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** Another order in each round: whoever comes next pays for the garbage of the one before. */
function shuffled<T>(list: T[]): T[] {
  return list.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** Measures each contender once in every round, and returns the median parts of raw fetch. */
async function compare(
  contenders: Record<string, Contender>,
  inFlight: number,
): Promise<Map<string, number>> {
  const rates = new Map(Object.keys(contenders).map((name) => [name, [] as number[]]));
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, call] of shuffled(Object.entries(contenders))) {
      const measured = await rate(call, inFlight);
      if (round >= 0) rates.get(name)!.push(measured); // the first round warms up
    }
  }
  const raw = rates.get("raw fetch")!;
  console.log(`| ${inFlight} in flight | µs per call | part of raw fetch |\n|---|---:|---:|`);
  const parts = new Map<string, number>();
  for (const [name, measured] of rates) {
    // Of neighbours in the same round: what else the machine does hits both.
    const part = median(measured.map((value, round) => value / raw[round]));
    parts.set(name, part);
    console.log(`| ${name} | ${(1e6 / median(measured)).toFixed(0)} | ${part.toFixed(2)} |`);
  }
  return parts;
}

/** Fails the run where ours is below its limit, or behind a rival. */
function judge(method: keyof typeof LEAST, inFlight: number, parts: Map<string, number>): void {
  const ours = parts.get(OURS)!;
  const problems = SLOWER.filter((name) => parts.get(name)! >= ours).map((name) =>
    `behind ${name}`
  );
  const { [method]: least } = LEAST;
  if (Math.round(ours * 100) / 100 < least) { // as printed
    problems.push(`${ours.toFixed(2)} of raw fetch, wanted ${least}`);
  }
  for (const problem of problems) {
    console.error(`Too slow, ${method}, ${inFlight} in flight: ${problem}`);
    Deno.exitCode = 1;
  }
}

if (import.meta.main && Deno.args[0] === "venue") {
  const body = JSON.stringify(QUOTE);
  const headers = { "content-type": "application/json" };
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(port),
  }, async (request) => {
    if (request.body) await request.bytes();
    return new Response(body, { headers });
  });
} else if (import.meta.main) {
  const venue = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, "venue"],
    stdout: "piped",
  }).spawn();
  const reader = venue.stdout.getReader();
  const url = `http://127.0.0.1:${new TextDecoder().decode((await reader.read()).value).trim()}/`;
  const headers = { authorization: "token key:secret", "x-kite-version": "3" };
  try {
    console.log(
      `session, ${ROUNDS} rounds of ${CALLS} calls in turn (Deno ${Deno.version.deno})\n\nGET`,
    );
    for (const inFlight of [1, 16]) {
      judge("GET", inFlight, await compare(reads(url, headers), inFlight));
    }
    console.log("\nPOST, which ours never sends twice: so it is a Blob");
    for (const inFlight of [1, 16]) {
      judge("POST", inFlight, await compare(orders(url, headers), inFlight));
    }
  } finally {
    venue.kill();
    await reader.cancel();
    await venue.status;
  }
  Deno.exit(); // the rivals keep connections open
}
