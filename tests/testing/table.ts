/**
 * One table of faults for both stages: what a session and a feed tell of each. Runs on Deno, Node and
 * Bun.
 *
 * @module
 */

import assert from "node:assert/strict";
import { BrokerError, Session } from "../../session.ts";
import {
  FeedClient,
  type HttpFault,
  type HttpFaultOptions,
  LoopbackVenue,
  raw,
  reply,
  type SimulatedRuntime,
  SimulatedVenue,
  type VenueScript,
  VirtualTime,
} from "../../testing.ts";
import { WebSocketFeeder, type WebSocketFeederOptions } from "../../websocket_feeder.ts";

/** Longest time of an attempt in these tests, in milliseconds. */
const TIMEOUT = 400;

/** A venue of either stage, and how time passes there. */
export interface Stage {
  readonly venue: VenueScript;
  readonly fetch: typeof fetch | undefined;
  createSocket(url: string): WebSocket;
  /** Waits for a promise. */
  done<T>(promise: Promise<T>): Promise<T>;
  /** Waits until something holds. */
  until(condition: () => boolean): Promise<void>;
  close(): Promise<void>;
}

/** Real sockets, real time. */
export async function loopback(): Promise<Stage> {
  const venue = await LoopbackVenue.listen();
  return {
    venue,
    fetch: undefined,
    createSocket: (url) => new WebSocket(url),
    done: (promise) => promise,
    until: (condition) => venue.until(condition),
    close: () => venue.close(),
  };
}

/** No sockets, virtual time. */
export function simulated(runtime: SimulatedRuntime): Promise<Stage> {
  const time = new VirtualTime();
  const venue = new SimulatedVenue({ runtime });
  return Promise.resolve({
    venue,
    fetch: venue.fetch,
    createSocket: (url) => venue.createSocket(url),
    async done(promise) {
      promise.catch(() => {});
      await time.pass(10_000);
      return await promise;
    },
    until: (condition) => time.until(condition),
    close: () => Promise.resolve(time.restore()),
  });
}

/** What becomes of an order: how often the venue executed it, and what the session says. */
interface Fate {
  readonly executions: number;
  /** The kinds that a runtime may give it, or none if the order is answered. */
  readonly kinds?: readonly string[];
  readonly options?: HttpFaultOptions;
}

const NETWORK = ["network"];
const BODY = ["network", "decode"];

/** Each fault of a request, and the fate of an order that meets it. */
export const ORDERS: Record<Exclude<HttpFault, "swapped-answers">, Fate> = {
  "reset-before-executing": { executions: 0, kinds: NETWORK },
  "reset-after-executing": { executions: 1, kinds: NETWORK },
  "finish-before-executing": { executions: 0, kinds: NETWORK },
  "finish-after-executing": { executions: 1, kinds: NETWORK },
  "hang-before-executing": { executions: 0, kinds: ["timeout"] },
  "hang-after-executing": { executions: 1, kinds: ["timeout"] },
  "reset-and-execute-late": { executions: 1, kinds: NETWORK, options: { delay: 50 } },
  "hang-and-execute-late": { executions: 1, kinds: ["timeout"], options: { delay: 50 } },
  "half-head": { executions: 1, kinds: NETWORK },
  garbage: { executions: 1, kinds: NETWORK },
  "cut-body": { executions: 1, kinds: BODY },
  "cut-chunks": { executions: 1, kinds: BODY },
  "reset-body": { executions: 1, kinds: BODY },
  "stall-body": { executions: 1, kinds: ["timeout"] },
  "half-gzip": { executions: 1, kinds: BODY },
  status: { executions: 0, kinds: NETWORK },
  "status-after-executing": { executions: 1, kinds: NETWORK, options: { status: 502 } },
  "late-answer": { executions: 1, options: { delay: 50 } },
  "late-execution": { executions: 1, options: { delay: 50 } },
  "executed-twice": { executions: 2 },
  "unasked-answer": { executions: 1 },
};

/** Places one order through a fault, and holds its fate against the table. */
export async function placeThrough(
  stage: Stage,
  fault: keyof typeof ORDERS,
): Promise<void> {
  const { venue, fetch } = stage;
  const { executions, kinds, options } = ORDERS[fault];
  // Long enough that half of its compressed form is no JSON.
  const order = { id: 1, words: Array.from({ length: 200 }, (_, i) => `${i * 7919 % 1000}`) };
  venue.on("POST /orders", () => order);
  venue.on("GET /time", { now: 1 });
  venue.fail("POST /orders", fault, options);
  const session = new Session({ baseUrl: venue.httpUrl, fetch, timeout: TIMEOUT });
  try {
    await stage.done(session.get("time")); // the connection is warm
    const placed = stage.done(session.post("orders", { json: { id: 1 } }));
    if (!kinds) assert.deepEqual(await placed, order);
    else {
      const error = await placed.then(() => undefined, (error) => error);
      assert.ok(error instanceof BrokerError, `${fault}: ${error}`);
      assert.ok(kinds.includes(error.kind), `${fault}: ${error.kind}`);
      assert.equal(error.outcome, "unknown", fault);
    }
    const orders = () => venue.executed.filter(({ method }) => method === "POST").length;
    await stage.until(() => orders() === executions);
  } finally {
    await stage.done(session.close());
    await stage.close();
  }
}

/** A feed of a venue that confirms. */
export class TableFeed extends WebSocketFeeder<string> {
  readonly items: string[] = [];
  readonly told: string[] = [];
  readonly #stage: Stage;

  constructor(stage: Stage, options: WebSocketFeederOptions = {}) {
    super({
      confirmTimeout: 200,
      baseWait: 20,
      maxWait: 50,
      jitter: 0,
      staleAfter: 2_000,
      ...options,
    });
    this.#stage = stage;
    this.on("item", (item) => this.items.push(item));
    this.on("error", () => {});
    this.on("subscribed", () => this.told.push("subscribed"));
    this.on("retry", ({ ending: { code, status } }) => this.told.push(`retry ${status ?? code}`));
  }
  protected override endpoint() {
    return this.#stage.venue.wsUrl;
  }
  protected override createSocket(url: string) {
    return this.#stage.createSocket(url);
  }
  protected override request(op: "subscribe" | "unsubscribe", symbols: string[]) {
    return JSON.stringify({ op, symbols });
  }
  protected override receive(data: string | ArrayBuffer) {
    const { granted, item } = JSON.parse(String(data));
    if (granted) this.confirm(granted);
    else this.emit(item);
  }
}

/** Writes the script of a venue that grants what is asked for. */
export function grant({ feed }: VenueScript): void {
  feed.on((frame, client) => {
    const { op, symbols } = JSON.parse(String(frame));
    for (const symbol of symbols) {
      if (op === "unsubscribe") client.held.delete(symbol);
      else client.held.add(symbol);
      if (op === "subscribe") client.send({ granted: symbol });
    }
  });
}

/** What happens to a feed that is live, and holds A. */
export const FEEDS: Record<string, (venue: VenueScript) => void> = {
  "a restart (1012)": ({ feed }) => feed.drop(1012),
  "a close frame without a code": ({ feed }) => feed.drop(undefined as unknown as number),
  "a reset": ({ feed }) => feed.reset(),
  "an end without a close frame": ({ feed }) => feed.vanish(),
  "silence": ({ feed }) => feed.silence(),
  "a refused upgrade afterwards": ({ feed }) => {
    feed.refuse({ status: 503, times: 2 });
    feed.drop();
  },
  "a lost acknowledgement afterwards": ({ feed }) => {
    feed.fail("granted", "lose");
    feed.drop();
  },
  "a late acknowledgement afterwards": ({ feed }) => {
    feed.fail("granted", "delay", { delay: 100 });
    feed.drop();
  },
  "a repeated acknowledgement afterwards": ({ feed }) => {
    feed.fail("granted", "repeat");
    feed.drop();
  },
  "a lost request afterwards": ({ feed }) => {
    feed.fail("subscribe", "lose-request");
    feed.drop();
  },
};

/** Brings a feed through a fault: in the end it is live again, and the venue holds A for it. */
export async function liveThrough(stage: Stage, fault: string): Promise<void> {
  const { venue } = stage;
  grant(venue);
  const feed = new TableFeed(stage, fault === "silence" ? { staleAfter: 300 } : {});
  try {
    feed.subscribe("A");
    void feed.connect();
    const isWhole = () =>
      feed.state === "live" &&
      venue.feed.clients.filter(({ held, isSilent }) => held.has("A") && !isSilent).length === 1;
    await stage.until(isWhole);
    const [before] = venue.feed.all;
    FEEDS[fault](venue);
    await stage.until(() => !isWhole() || venue.feed.all.length > 1);
    await stage.until(() =>
      isWhole() && feed.told.filter((told) => told === "subscribed").length > 1
    );
    assert.ok(before instanceof FeedClient);
    venue.feed.publish("A", { item: "last" });
    await stage.until(() => feed.items.at(-1) === "last");
  } finally {
    await stage.done(feed.close());
    await stage.close();
  }
}

/** Refuses the login of a feed in the upgrade: the feed ends, because the next attempt would too. */
export async function endThrough(stage: Stage, status: 401 | 403): Promise<void> {
  const { feed: script } = stage.venue;
  const feed = new TableFeed(stage);
  try {
    script.refuse({ status, times: Infinity });
    const failure = feed.connect().catch((error) => error);
    await stage.until(() => feed.state === "closed");
    assert.equal((await failure).ending?.status, status);
    assert.equal(feed.stats.attempts, 1); // Node 24 asks twice by itself
  } finally {
    await stage.done(feed.close());
    await stage.close();
  }
}

/** Sends orders whose ends are said one by one: a fault, options, an answer, a handler, bytes. */
export async function stepThrough(stage: Stage): Promise<void> {
  const { venue, fetch } = stage;
  const session = new Session({ baseUrl: venue.httpUrl, fetch, timeout: TIMEOUT, retry: false });
  const order = () =>
    stage.done(session.post("orders", { json: {} })).catch(({ status, kind }) => status ?? kind);
  try {
    venue.on("*", () => ({ id: 1 }));
    venue.will(
      "*",
      "reset-after-executing",
      ["status", { status: 418 }],
      ["cut-body", { status: 400, body: "half" }],
      reply(404),
      () => raw("no HTTP\r\n\r\n"),
      () => ({ id: 2 }),
    );
    const ends: unknown[] = [];
    for (let i = 0; i < 7; i++) ends.push(await order());
    assert.deepEqual(ends, ["network", 418, 400, 404, "network", { id: 2 }, { id: 2 }]);
    assert.deepEqual(venue.requests.map(({ target, path }) => [target, path]).at(-1), [
      "/orders",
      "/orders",
    ]);
    assert.equal(venue.executed.length, 6); // all but the 418
    venue.will("*");
    assert.deepEqual(await order(), { id: 1 });
    assert.ok(venue.requests.some(({ turn }) => turn > 1)); // a connection was used again
  } finally {
    await stage.done(session.close());
    await stage.close();
  }
}

/** Opens feeds at a venue that looks at each upgrade: waits, then accepts, refuses or throws. */
export async function admitThrough(stage: Stage): Promise<void> {
  const { venue } = stage;
  const gate = Promise.withResolvers<void>();
  venue.feed.onUpgrade(async ({ path, headers }) => {
    await gate.promise;
    if (!(headers instanceof Headers)) throw new Error("no headers");
    if (path === "/?refused") throw reply(403, "no such key");
    if (path === "/?broken") throw new Error("of the test");
  });
  const told: string[] = [];
  try {
    for (const name of ["known", "refused", "broken"]) {
      const socket = stage.createSocket(`${venue.wsUrl}?${name}`);
      socket.onopen = () => told.push(`${name}: open`);
      socket.onerror = () => told.push(`${name}: error`);
    }
    await stage.until(() => venue.feed.upgrades >= 3);
    assert.equal(told.length, 0); // the venue has not decided yet
    gate.resolve();
    const ends = ["broken: error", "known: open", "refused: error"];
    await stage.until(() => ends.every((end) => told.includes(end)));
    assert.deepEqual([...new Set(told)].sort(), ends); // Node 22 tells an error twice
    assert.deepEqual(venue.feed.all.map(({ path }) => path), ["/?known"]);
    assert.equal((venue.errors[0] as Error).message, "of the test");
  } finally {
    venue.feed.reset();
    await stage.until(() => venue.feed.clients.length === 0);
    await stage.close();
  }
}

/** Has the feed's handlers throw: the errors are kept, and the connection goes on. */
export async function throwThrough(stage: Stage): Promise<void> {
  const { feed, errors } = stage.venue;
  feed.onOpen(() => {
    throw "open";
  });
  feed.on((frame) => {
    if (frame === "later") return Promise.reject(frame);
    throw frame;
  });
  try {
    const socket = stage.createSocket(stage.venue.wsUrl);
    socket.onopen = () => ["now", "later"].forEach((frame) => socket.send(frame));
    await stage.until(() => errors.length === 3);
    assert.deepEqual(errors, ["open", "now", "later"]);
    assert.equal(feed.last.isOpen, true);
  } finally {
    feed.reset();
    await stage.until(() => feed.clients.length === 0);
    await stage.close();
  }
}
