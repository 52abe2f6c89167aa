/** What `WebSocketFeeder` promises, against a venue that fails on purpose, on Deno, Node and Bun. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { Buffer } from "node:buffer";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { Throttler } from "../../throttler.ts";
import { FeedError, type FeedEvents, type FeedStream } from "../../feeder.ts";
import { BrokerError } from "../../common/broker_error.ts";
import {
  type AskOptions,
  type Endpoint,
  type FeedConnection,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "../../websocket_feeder.ts";
import { type FeedClient, LoopbackVenue } from "../../testing.ts";
import { wireFrame } from "../../testing/wire.ts";
import { check, run, runtime } from "./harness.ts";

/** A feed whose items are the frames, and whose requests are `+a,b` and `-a,b`. */
class TestFeed extends WebSocketFeeder<string> {
  readonly retries: FeedEvents<string>["retry"][] = [];
  readonly lives: FeedEvents<string>["live"][] = [];
  readonly errors: FeedError[] = [];
  readonly states: string[] = [];
  readonly items: string[] = [];
  where: (signal: AbortSignal) => string | URL | Endpoint | Promise<string | URL | Endpoint>;
  login?: (connection: FeedConnection) => Promise<void>;
  read: (data: string, connection: FeedConnection) => void = (data) => this.emit(data);
  readBytes: (data: ArrayBuffer) => void | Promise<void> = (data) =>
    this.emit(`${data.byteLength} bytes`);
  sign?: (text: string, connection: FeedConnection) => Promise<string>;
  bye?: string;
  protected override readonly batch = 100;

  constructor(url: string, options: WebSocketFeederOptions = {}) {
    super({ baseWait: 10, jitter: 0, ...options });
    this.where = () => url;
    this.on("retry", (event) => this.retries.push(event));
    this.on("live", (event) => this.lives.push(event));
    this.on("error", (event) => this.errors.push(event));
    this.on("state", ({ state }) => this.states.push(state));
    this.on("item", (item) => this.items.push(item));
  }
  protected override endpoint(signal: AbortSignal) {
    return this.where(signal);
  }
  protected override receive(
    data: string | ArrayBuffer,
    connection: FeedConnection,
  ): void | Promise<void> {
    if (typeof data === "string") this.read(data, connection);
    else return this.readBytes(data);
  }
  protected override request(
    op: "subscribe" | "unsubscribe",
    subs: string[],
    connection: FeedConnection,
  ): string | Promise<string> {
    const text = `${op === "subscribe" ? "+" : "-"}${subs.join()}`;
    return this.sign ? this.sign(text, connection) : text;
  }
  protected override handshake(connection: FeedConnection): void | Promise<void> {
    return this.login?.(connection);
  }
  protected override goodbye(): string | undefined {
    return this.bye;
  }
  override send(frame: string): boolean {
    return super.send(frame);
  }
  override ask<R>(id: unknown, frame: string, options?: AskOptions): Promise<R> {
    return super.ask(id, frame, options);
  }
  override emit(item: string): void {
    super.emit(item);
  }
  override refuse(sub: string, why: string): void {
    super.refuse(sub, why);
  }
}

/** A check with a venue and a feed, both closed at the end. */
function scene(
  name: string,
  options: WebSocketFeederOptions,
  play: (feed: TestFeed, venue: LoopbackVenue) => Promise<void>,
  prepare: (venue: LoopbackVenue) => void = () => {},
): void {
  check(name, async () => {
    const venue = await LoopbackVenue.listen();
    prepare(venue);
    const feed = new TestFeed(venue.wsUrl, options);
    try {
      await play(feed, venue);
      assert.deepEqual(venue.errors, []);
    } finally {
      await feed.close();
      await venue.close();
    }
  });
}

/** Refuses every upgrade. */
const refuse = (status: number) => ({ feed }: LoopbackVenue) =>
  feed.refuse({ status, times: Infinity });
/** Never answers an upgrade. */
const hang = ({ feed }: LoopbackVenue) => feed.hang(Infinity);
/** Answers no close frame. */
const deaf = ({ feed }: LoopbackVenue) => void (feed.isDeaf = true);

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Resolves once the feed has been live so many times. */
const live = (feed: TestFeed, venue: LoopbackVenue, times: number) =>
  venue.until(() => feed.lives.length >= times && feed.state === "live");

// ---------------------------------------------------------------- dialling

const refusals: [string, (venue: LoopbackVenue) => string][] = [
  ["refused", () => "ws://127.0.0.1:1/"],
  ["an unknown host", () => "ws://venue.invalid/"],
  ["a 503", (venue) => venue.wsUrl],
];
for (const [fault, url] of refusals) {
  scene(`connect() notices ${fault} in less than half a second`, {
    connectTimeout: 5_000,
  }, async (feed, venue) => {
    feed.where = () => url(venue);
    const start = performance.now();
    const first = new Promise<void>((resolve) => feed.on("retry", () => resolve()));
    feed.connect().catch(() => {});
    await first;
    assert(performance.now() - start < 500);
    assert.equal(feed.retries[0].ending.code, 1006);
    assert.equal(feed.retries[0].ending.opened, false);
  }, refuse(503));
}

scene(
  "maxRetries 3 dials 4 times, the wait doubling, and tells connect() and closed the same error",
  { maxRetries: 3 },
  async (feed, venue) => {
    const error = await feed.connect().catch((error) => error);
    assert(error instanceof FeedError);
    assert.equal(error, await feed.closed);
    assert.equal(feed.stats.attempts, 4);
    assert.equal(venue.connections >= 4, true);
    assert.deepEqual(feed.retries.map(({ attempt, delay }) => [attempt, delay]), [
      [1, 10],
      [2, 20],
      [3, 40],
    ]);
    assert.equal(feed.state, "closed");
  },
  refuse(503),
);

for (const code of [401, 403]) {
  scene(`a ${code} is fatal, and told`, {}, async (feed, venue) => {
    const error = await feed.connect().catch((error) => error);
    assert.equal(error.fatal, true);
    assert.equal(error.ending.status, code);
    assert.match(error.ending.reason, new RegExp(String(code)));
    assert.equal(error, await feed.closed);
    assert.equal(feed.stats.attempts, 1);
    // Node 24 asks twice by itself.
    assert(venue.feed.upgrades <= (runtime === "node" ? 2 : 1));
  }, refuse(code));
}

scene("on Node, a refused upgrade tells how long to wait", { baseWait: 5 }, async (feed, venue) => {
  venue.feed.refuse({ status: 429, headers: { "retry-after": "0.4" }, times: Infinity });
  feed.connect().catch(() => {});
  await venue.until(() => feed.retries.length > 0);
  const [{ delay, ending }] = feed.retries;
  assert.deepEqual([ending.retryAfter, delay], runtime === "node" ? [400, 400] : [undefined, 5]);
});

scene(
  "the waits grow while connections end at once, and start again after one that was stable",
  { resetRetryAfter: 200, baseWait: 5 },
  async (feed, venue) => {
    venue.feed.onOpen((client) => client.id <= 4 && client.close(1000));
    await feed.connect();
    await live(feed, venue, 5);
    await sleep(250);
    venue.feed.last.reset();
    await live(feed, venue, 6);
    assert.deepEqual(feed.retries.map(({ delay }) => delay), [5, 10, 20, 40, 5]);
  },
);

scene("an upgrade that hangs is given up at connectTimeout, one TCP connection at a time", {
  connectTimeout: 100,
  baseWait: 100, // the venue must see the end of one before the next
}, async (feed, venue) => {
  feed.connect();
  await venue.until(() => feed.retries.length === 3);
  assert.match(feed.retries[0].ending.reason, /100 ms/);
  venue.feed.heal();
  await feed.connect();
  assert.equal(venue.mostAlive, 1);
}, hang);

scene("a handshake unanswered is given up at connectTimeout, with no frame before login", {
  connectTimeout: 100,
  baseWait: 100, // the venue must see the end of one before the next
}, async (feed, venue) => {
  let unlock: (() => void) | undefined;
  feed.read = (data) => data === "welcome" ? unlock?.() : feed.items.push(data);
  feed.login = async () => {
    feed.send("login");
    await new Promise<void>((resolve) => unlock = resolve);
  };
  feed.subscribe("a");
  feed.connect();
  await venue.until(() => feed.retries.length === 2);
  assert.equal(venue.mostAlive, 1);
  venue.feed.on((text, client) => text === "login" && client.send("welcome"));
  await feed.connect();
  await venue.until(() => venue.feed.last.frames.length === 2);
  for (const { frames } of venue.feed.all.slice(0, -1)) assert.deepEqual(frames, ["login"]);
  assert.deepEqual(venue.feed.last.frames, ["login", "+a"]);
});

scene("an endpoint that hangs or rejects is given up, and asked again", {
  connectTimeout: 100,
}, async (feed, venue) => {
  const answers = [
    () => new Promise<string>(() => {}),
    () => Promise.reject(new Error("No token")),
    () => {
      throw new Error("No token at all");
    },
    () => Promise.resolve({ url: new URL("stream", venue.wsUrl), headers: { "x-key": "7" } }),
  ];
  feed.where = () => answers.shift()!();
  await feed.connect();
  assert.equal(venue.feed.upgrades, 1);
  assert.equal(venue.feed.last.path, "/stream");
  assert.equal(venue.feed.last.headers.get("x-key"), "7");
  assert.deepEqual(feed.retries.map(({ ending }) => (ending.cause as Error)?.message), [
    undefined,
    "No token",
    "No token at all",
  ]);
});

scene("endpoint() may name protocols", {}, async (feed, venue) => {
  feed.where = () => ({ url: venue.wsUrl, protocols: ["json.v2", "json.v1"] });
  await feed.connect();
  assert.equal(
    venue.feed.last.headers.get("sec-websocket-protocol")?.replace(" ", ""),
    "json.v2,json.v1",
  );
});

for (
  const [what, endpoint] of Object.entries({
    "an address that is no URL": "not a url?token=secret",
    "an address with a fragment": "ws://127.0.0.1:9/#secret",
    "a header with a newline": { url: "ws://127.0.0.1:9/", headers: { token: "secret\nmore" } },
    "a header beyond Latin-1": { url: "ws://127.0.0.1:9/", headers: { token: "secret\u20ac" } },
    "a protocol with a blank": { url: "ws://127.0.0.1:9/", protocols: "secret 1" },
  })
) {
  check(`${what} is fatal, and stays out of the error`, async () => {
    const feed = new TestFeed("");
    feed.where = () => endpoint;
    const error = await feed.connect().catch((error) => error);
    assert.equal(error.fatal, true);
    assert.match(error.message, /^Cannot dial: /);
    const told = inspect([error, feed.errors, feed.retries], { depth: 9, showHidden: true });
    assert(!told.includes("secret"), told);
  });
}

scene("no address is told by an ending", {}, async (feed, venue) => {
  feed.where = () => `${venue.wsUrl}?token=secret`;
  feed.connect();
  await venue.until(() => feed.retries.length === 1);
  assert(!JSON.stringify(feed.retries).includes("127.0.0.1"));
  assert(!JSON.stringify(feed.retries).includes("secret"));
}, refuse(503));

// ---------------------------------------------------------------- endings

for (
  const [fault, act, code] of [
    ["RST", (client: FeedClient) => client.reset(), 1006],
    ["FIN without a close frame", (client: FeedClient) => client.finish(), 1006],
    ["1000", (client: FeedClient) => client.close(1000), 1000],
    ["1001", (client: FeedClient) => client.close(1001, "going away"), 1001],
    ["1008", (client: FeedClient) => client.close(1008, "too fast"), 1008],
    ["1012", (client: FeedClient) => client.close(1012), 1012],
    ["4401", (client: FeedClient) => client.close(4401), 4401],
    ["an empty close frame", (client: FeedClient) => client.close(), 1005],
  ] as const
) {
  scene(`${fault} while live: one reconnect, resumed`, {}, async (feed, venue) => {
    feed.subscribe("a");
    await feed.connect();
    await venue.until(() => venue.feed.last.frames.length === 1);
    act(venue.feed.last);
    await live(feed, venue, 2);
    await venue.until(() => venue.feed.last.frames.length === 1);
    await sleep(30);
    assert.equal(feed.retries.length, 1);
    assert.equal(feed.retries[0].ending.code, code);
    assert.equal(feed.retries[0].ending.opened, true);
    assert.deepEqual(feed.lives[0], { connection: 1, resumed: false, downtime: 0 });
    assert.equal(feed.lives[1].connection, 2);
    assert.equal(feed.lives[1].resumed, true);
    assert(feed.lives[1].downtime > 5, `downtime ${feed.lives[1].downtime}`);
    assert.equal(venue.feed.upgrades, 2);
    assert.deepEqual(feed.states, ["connecting", "live", "waiting", "connecting", "live"]);
  });
}

for (const code of [1003, 1007, 1009, 1010]) {
  scene(`${code} ends the feed`, {}, async (feed, venue) => {
    await feed.connect();
    await sleep(20);
    venue.feed.last.close(code, "no");
    const error = await feed.closed;
    assert.equal(error?.fatal, true);
    assert.equal(error?.ending?.code, code);
    assert.equal(error?.ending?.reason, "no");
    assert(error!.uptime >= 15);
    assert.equal(feed.stats.attempts, 1);
    assert.deepEqual(feed.errors, [error]);
    await assert.rejects(feed.connect(), (reason) => reason === error);
  });
}

scene("a fatal FeedError thrown by receive ends the feed", {}, async (feed, venue) => {
  const thrown = new FeedError("Cannot log in: wrong key", { fatal: true });
  feed.read = () => {
    throw thrown;
  };
  await feed.connect();
  venue.feed.last.send("denied");
  assert.equal(await feed.closed, thrown);
});

scene("a fatal FeedError thrown by handshake ends the feed", {}, async (feed) => {
  const thrown = new FeedError("Cannot log in: wrong key", { fatal: true });
  feed.login = () => Promise.reject(thrown);
  await assert.rejects(feed.connect(), (error) => error === thrown);
  assert.equal(await feed.closed, thrown);
});

scene("20 times reconnect() make exactly one new socket", {}, async (feed, venue) => {
  await feed.connect();
  for (let i = 0; i < 20; i++) feed.reconnect("asked");
  await live(feed, venue, 2);
  await sleep(50);
  assert.equal(venue.feed.upgrades, 2);
  assert.equal(feed.retries.length, 1);
  assert.equal(feed.retries[0].ending.reason, "asked");
  assert.equal(venue.alive, 1);
});

scene(
  "reconnect() cuts a wait short",
  { baseWait: 60_000, maxWait: 60_000 },
  async (feed, venue) => {
    await feed.connect();
    venue.feed.last.reset();
    await venue.until(() => feed.state === "waiting");
    feed.reconnect();
    await live(feed, venue, 2);
  },
);

scene("nothing from an old socket is ever heard", {}, async (feed, venue) => {
  const timer = setInterval(() => {
    for (const [index, client] of venue.feed.all.entries()) client.send(String(index));
  }, 1);
  try {
    await feed.connect();
    await venue.until(() => feed.items.length > 20);
    feed.reconnect();
    feed.items.length = 0;
    await live(feed, venue, 2);
    await venue.until(() => feed.items.length > 20);
    assert.deepEqual([...new Set(feed.items)], ["1"]);
  } finally {
    clearInterval(timer);
  }
}, deaf);

// ---------------------------------------------------------------- closing

/** Closes the feed in a state, and looks at what must be so after it. */
function closing(
  name: string,
  options: WebSocketFeederOptions,
  reach: (feed: TestFeed, venue: LoopbackVenue) => unknown,
  prepare?: (venue: LoopbackVenue) => void,
): void {
  for (const how of ["close()", "an aborted signal"]) {
    const controller = new AbortController();
    scene(`${how} ${name}`, { ...options, signal: controller.signal }, async (feed, venue) => {
      let ended = 0;
      feed.closed.then(() => ended++);
      await reach(feed, venue);
      const start = performance.now();
      if (how === "close()") feed.close();
      else controller.abort(new Error("Enough"));
      await Promise.all([feed.close(), feed.close()]);
      assert(performance.now() - start < 1_000, "not prompt");
      assert.equal(feed.state, "closed");
      assert.equal(await feed.closed, undefined);
      await sleep(30);
      assert.equal(ended, 1);
      assert.equal(feed.states.filter((state) => state === "closed").length, 1);
      await assert.rejects(
        feed.connect(),
        how === "close()" ? /Cannot connect the feed: it is closed/ : /Enough/,
      );
      assert.equal(feed.send("x"), false);
      await venue.until(() => venue.feed.isDeaf || venue.alive === 0);
      assert.equal(feed.retries.length <= 1, true);
    }, prepare);
  }
}

closing("before connect", {}, () => {});
closing("while the upgrade hangs", {}, async (feed, venue) => {
  feed.connect();
  await venue.until(() => venue.feed.upgrades === 1);
}, hang);
closing("while the endpoint hangs", {}, (feed) => {
  feed.where = () => new Promise(() => {});
  feed.connect();
});
closing("in the handshake", {}, async (feed, venue) => {
  feed.login = () => new Promise(() => {});
  feed.connect();
  await venue.until(() => venue.feed.all.length === 1);
});
closing("in a wait", { baseWait: 60_000, maxWait: 60_000 }, async (feed, venue) => {
  feed.connect();
  await venue.until(() => feed.state === "waiting");
}, refuse(503));
closing("while live", {}, (feed) => feed.connect());
closing("while live, on a deaf peer", { closeTimeout: 150 }, (feed) => feed.connect(), deaf);
closing("while a paced resubscription waits", {
  pace: new Throttler({ limit: 1, period: 60_000 }),
}, async (feed) => {
  feed.subscribe(...Array.from({ length: 250 }, (_, n) => `s${n}`));
  await feed.connect();
});

scene("close() waits for a deaf peer until closeTimeout, not longer", {
  closeTimeout: 200,
}, async (feed) => {
  await feed.connect();
  const start = performance.now();
  await feed.close();
  const took = performance.now() - start;
  assert(took >= 195 && took < 600, `${took} ms`);
}, deaf);

scene("close() sends goodbye() and a close frame 1000", {}, async (feed, venue) => {
  feed.bye = "logout";
  await feed.connect();
  await feed.close();
  await venue.until(() => venue.feed.last.closeCode);
  assert.deepEqual(venue.feed.last.frames, ["logout"]);
  assert.equal(venue.feed.last.closeCode, 1000);
});

for (const type of ["item", "live", "state", "retry"] as const) {
  scene(`close() inside a listener of ${type}`, {}, async (feed, venue) => {
    feed.on(type, () => void feed.close());
    feed.connect().catch(() => {});
    if (type === "item") {
      await live(feed, venue, 1);
      venue.feed.last.send("1");
      venue.feed.last.send("2");
    }
    if (type === "retry") {
      await live(feed, venue, 1);
      venue.feed.last.reset();
    }
    assert.equal(await feed.closed, undefined);
    assert.equal(feed.state, "closed");
    if (type === "item") assert.deepEqual(feed.items, ["1"]);
    if (type === "state") assert.equal(venue.feed.upgrades, 0);
  });
}

check("a signal that has aborted already closes the feed before it begins", async () => {
  const feed = new TestFeed("ws://127.0.0.1:1/", {
    signal: AbortSignal.abort(new Error("Enough")),
  });
  assert.equal(feed.state, "closed");
  await assert.rejects(feed.connect(), /Enough/);
  assert.equal(feed.stats.attempts, 0);
});

// ---------------------------------------------------------------- reading

scene(
  "receive or a listener that throws makes one error event each; the connection stays",
  {},
  async (
    feed,
    venue,
  ) => {
    feed.read = (data) => {
      if (data === "bad frame") throw new Error("Cannot parse");
      feed.emit(data);
    };
    const heard: string[] = [];
    feed.on("item", (item) => {
      if (item === "bad item") throw new Error("Cannot use");
    });
    feed.on("item", async (item) => {
      await null;
      if (item === "bad later") throw new Error("Cannot use later");
    });
    feed.on("item", (item) => heard.push(item));
    await feed.connect();
    for (const text of ["1", "bad frame", "2", "bad item", "3", "bad later", "4"]) {
      venue.feed.last.send(text);
    }
    await venue.until(() => heard.length === 6 && feed.errors.length === 3);
    assert.deepEqual(heard, ["1", "2", "bad item", "3", "bad later", "4"]);
    assert.deepEqual(feed.errors.map((error) => (error.cause as Error).message), [
      "Cannot parse",
      "Cannot use",
      "Cannot use later",
    ]);
    assert.deepEqual(feed.errors.map((error) => error.fatal), [false, false, false]);
    assert.equal(venue.feed.upgrades, 1);
  },
);

scene("text comes as text, bytes as an ArrayBuffer", {}, async (feed, venue) => {
  await feed.connect();
  venue.feed.last.send("text");
  venue.feed.last.send(new Uint8Array(184));
  venue.feed.last.send(new Uint8Array(70_000));
  await venue.until(() => feed.items.length === 3);
  assert.deepEqual(feed.items, ["text", "184 bytes", "70000 bytes"]);
  assert.deepEqual({ ...feed.stats }, { attempts: 1, connections: 1, frames: 3, items: 3 });
});

scene("frames in the same segment as the upgrade's answer are heard", {}, async (feed, venue) => {
  await feed.connect();
  await venue.until(() => feed.items.length === 2);
  assert.deepEqual(feed.items, ["1", "2"]);
}, ({ feed }) =>
  feed.onOpen((client) => {
    client.send("1");
    client.send("2");
  }));

const taps: string[] = [];
scene("tap is told every frame, in and out", {
  tap: (direction, data) => taps.push(`${direction} ${data}`),
}, async (feed, venue) => {
  feed.login = () => void feed.send("login") as unknown as Promise<void>;
  feed.subscribe("a");
  await feed.connect();
  await venue.until(() => venue.feed.last.frames.length === 2);
  venue.feed.last.send("1");
  await venue.until(() => feed.items.length === 1);
  assert.deepEqual(taps, ["out login", "out +a", "in 1"]);
});

// ---------------------------------------------------------------- subscriptions

scene("250 subscriptions go out in batches, and again on a new connection", {}, async (
  feed,
  venue,
) => {
  const names = Array.from({ length: 250 }, (_, n) => `s${n}`);
  const sizes = () =>
    venue.feed.last.frames.map((frame) => String(frame)[0] + String(frame).split(",").length);
  feed.subscribe(...names);
  await feed.connect();
  await venue.until(() => venue.feed.last.frames.length === 3);
  assert.deepEqual(sizes(), ["+100", "+100", "+50"]);
  feed.unsubscribe("s7");
  await venue.until(() => venue.feed.last.frames.length === 4);
  assert.equal(venue.feed.last.frames[3], "-s7");
  feed.reconnect();
  await live(feed, venue, 2);
  await venue.until(() => venue.feed.last.frames.length === 3);
  assert.deepEqual(sizes(), ["+100", "+100", "+49"]);
  assert.deepEqual([...feed.subscriptions.keys()], names.filter((name) => name !== "s7"));
});

scene("what is undone within the same turn never reaches the wire", {}, async (feed, venue) => {
  feed.subscribe("a");
  await feed.connect();
  await venue.until(() => venue.feed.last.frames.length === 1);
  feed.subscribe("b");
  feed.unsubscribe("b");
  feed.unsubscribe("a");
  feed.subscribe("a");
  await sleep(50);
  feed.subscribe("end");
  await venue.until(() => venue.feed.last.frames.length === 2);
  assert.deepEqual(venue.feed.last.frames, ["+a", "+end"]);
});

scene("a drop in the middle of a paced resubscription: the new socket gets each exactly once", {
  pace: new Throttler({ limit: 1, period: 40 }),
}, async (feed, venue) => {
  const names = Array.from({ length: 450 }, (_, n) => `s${n}`);
  feed.subscribe(...names);
  await feed.connect();
  await venue.until(() => venue.feed.last.frames.length === 2);
  venue.feed.last.reset();
  await live(feed, venue, 2);
  await venue.until(() => venue.feed.last.frames.length === 5);
  await sleep(100);
  assert.deepEqual(
    venue.feed.last.frames.flatMap((frame) => String(frame).slice(1).split(",")),
    names,
  );
});

scene("a subscription that the venue refuses is reported, and not asked again", {}, async (
  feed,
  venue,
) => {
  feed.read = (data) => data.startsWith("no ") && feed.refuse(data.slice(3), "unknown symbol");
  feed.subscribe("a", "b");
  await feed.connect();
  await venue.until(() => venue.feed.last.frames.length === 1);
  venue.feed.last.send("no b");
  await venue.until(() => feed.errors.length === 1);
  assert.match(feed.errors[0].message, /^Cannot subscribe to b: unknown symbol$/);
  assert.equal(feed.errors[0].fatal, false);
  feed.reconnect();
  await live(feed, venue, 2);
  await venue.until(() => venue.feed.last.frames.length === 1);
  await sleep(30);
  assert.deepEqual(venue.feed.all.map(({ frames }) => frames), [["+a,b"], ["+a"]]);
});

const outbound: number[] = [];
scene("a pace of 5 per second holds for every frame, reconnects included", {
  pace: new Throttler({ limit: 5, period: 1_000 }),
  tap: (direction) => direction === "out" && outbound.push(performance.now()),
}, async (feed, venue) => {
  feed.login = () => void feed.send("login") as unknown as Promise<void>;
  feed.subscribe(...Array.from({ length: 300 }, (_, n) => `s${n}`));
  await feed.connect();
  await venue.until(() => venue.feed.last.frames.length === 4);
  venue.feed.last.reset();
  await live(feed, venue, 2);
  await venue.until(() => venue.feed.last.frames.length === 4);
  venue.feed.last.reset();
  await live(feed, venue, 3);
  await venue.until(() => venue.feed.last.frames.length === 4);
  assert.equal(outbound.length, 12);
  for (let i = 5; i < outbound.length; i++) {
    assert(outbound[i] - outbound[i - 5] >= 1_000, `6 frames in ${outbound[i] - outbound[i - 5]}`);
  }
});

// ---------------------------------------------------------------- streams

scene("for await ends when the feed closes, and throws when it fails", {}, async (feed, venue) => {
  const read: string[] = [];
  const reading = (async () => {
    for await (const item of feed) read.push(item);
  })();
  await feed.connect();
  const stream: FeedStream<string> = feed.stream({ capacity: 2 });
  for (const text of ["1", "2", "3"]) venue.feed.last.send(text);
  await venue.until(() => feed.items.length === 3);
  venue.feed.last.close(1003);
  const error = await feed.closed;
  await assert.rejects(reading, (reason) => reason === error);
  assert.deepEqual(read, ["1", "2", "3"]);
  assert.equal(stream.dropped, 1);
  assert.deepEqual(await stream.next(), { value: "2", done: false });
  assert.deepEqual(await stream.next(), { value: "3", done: false });
  await assert.rejects(stream.next(), (reason) => reason === error);
  assert.deepEqual(await stream.next(), { value: undefined, done: true });
});

// ---------------------------------------------------------------- lifetime

for (const identified of [true, false]) {
  const how = identified ? "exactly once with identify()" : "at least once";
  check(`maxLifetime replaces connections without a gap: each item ${how}`, async () => {
    // Takes its time to begin, as a venue does, and numbers what it sends. Where items can be told
    // apart, every other connection lags by more than the overlap.
    const LAG = 120;
    const subscribed = new Set<FeedClient>();
    let subscribedAlways = true;
    let number = 0;
    const venue = await LoopbackVenue.listen();
    venue.feed.on((_, client) => void setTimeout(() => subscribed.add(client), 30));
    const timer = setInterval(() => {
      number++;
      const clients = [...subscribed].filter((client) =>
        client.isOpen && client.closeCode === undefined
      );
      if (subscribed.size > 0 && clients.length === 0) subscribedAlways = false;
      const text = String(number);
      for (const client of clients) {
        if (identified && client.id % 2 === 1) setTimeout(() => client.send(text), LAG);
        else client.send(text);
      }
    }, 1);
    class Numbered extends TestFeed {
      protected override identify(item: string) {
        return identified ? item : undefined;
      }
    }
    const feed = new Numbered(venue.wsUrl, { maxLifetime: 100, overlap: 80 });
    try {
      feed.subscribe("a");
      await feed.connect();
      await live(feed, venue, 5);
      assert.equal(subscribedAlways, true);
      assert.equal(venue.mostAlive, 2);
      assert.deepEqual(feed.states, ["connecting", "live"]);
      assert.equal(feed.retries.length, 0);
      assert.deepEqual(feed.lives.map(({ downtime }) => downtime), [0, 0, 0, 0, 0]);
    } finally {
      clearInterval(timer);
      await feed.close();
      await venue.close();
    }
    const numbers = feed.items.map(Number);
    const distinct = [...new Set(numbers)].sort((a, b) => a - b);
    assert.equal(distinct.at(-1)! - distinct[0] + 1, distinct.length, "something was lost");
    assert.equal(numbers.length > distinct.length, !identified);
  });
}

scene("maxLifetime: a replacement that fails does no harm to the live connection", {
  maxLifetime: 50,
  overlap: 20,
}, async (feed, venue) => {
  feed.subscribe("a");
  await feed.connect();
  refuse(503)(venue);
  await venue.until(() => venue.feed.upgrades >= 4);
  venue.feed.all[0].send("1");
  await venue.until(() => feed.items.length === 1);
  assert.equal(feed.state, "live");
  venue.feed.heal();
  await live(feed, venue, 2);
  await venue.until(() => venue.alive === 1);
  assert.deepEqual(feed.retries.map(({ ending }) => ending.opened), Array(3).fill(false));
  assert.deepEqual(feed.states, ["connecting", "live"]);
});

scene("maxLifetime: the live connection ends while its replacement dials: one reconnect", {
  maxLifetime: 50,
  overlap: 20,
}, async (feed, venue) => {
  await feed.connect();
  hang(venue);
  await venue.until(() => venue.feed.upgrades === 2);
  venue.feed.heal();
  venue.feed.all[0].reset();
  await live(feed, venue, 2);
  assert.equal(feed.retries.length, 1);
  assert(feed.lives[1].downtime > 5);
  assert.equal(venue.alive, 1);
});

// ---------------------------------------------------------------- the order of things

check(
  "a hundred starts: handshake before any receive, live before any item, none lost to for await",
  async () => {
    // Speaks first, in the segment of the 101, and answers a login together with the first items.
    const venue = await LoopbackVenue.listen();
    venue.feed.onOpen((client) => ["hello", "first"].forEach((text) => client.send(text)));
    const frames = ["+login", "1", "2", "3"].map((text) => wireFrame(1, Buffer.from(text)));
    venue.feed.on((text, client) => text === "login" && client.raw(Buffer.concat(frames)));
    const lost: string[] = [];
    for (let start = 0; start < 100; start++) {
      const calls: string[] = [];
      const feed = new TestFeed(venue.wsUrl);
      feed.login = async (connection) => {
        calls.push("handshake");
        await connection.expect("hello");
        await connection.ask("login", "login");
      };
      feed.read = (data, connection) => {
        calls.push("receive");
        if (data === "hello") connection.answer("hello");
        else if (data === "+login") connection.answer("login");
        else feed.emit(data);
      };
      feed.on("live", () => calls.push("live"));
      feed.on("item", () => calls.push("item"));
      await feed.connect();
      const read: string[] = [];
      for await (const item of feed) {
        read.push(item);
        if (item === "3") break;
      }
      assert.equal(calls[0], "handshake");
      assert(calls.indexOf("live") < calls.indexOf("item"), String(calls));
      if (String(read) !== "first,1,2,3") lost.push(String(read));
      await feed.close();
    }
    await venue.close();
    assert.deepEqual(lost, []);
  },
  { timeout: 30_000 },
);

scene("receive may inflate: frames keep their order, and none comes from a dead connection", {
  baseWait: 0,
}, async (feed, venue) => {
  const packed = async (text: string) => {
    const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  let dies = false;
  feed.readBytes = async (data) => {
    if (dies) feed.reconnect();
    dies = false;
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"));
    feed.emit(await new Response(stream).text());
  };
  await feed.connect();
  const sizes = [200_000, 1, 50_000, 1, 1];
  const frames = await Promise.all(sizes.map((size, n) => packed(`${n} `.repeat(size))));
  for (const frame of frames) venue.feed.last.send(frame);
  await venue.until(() => feed.items.length === 5);
  assert.deepEqual(feed.items.map((item) => Number(item[0])), [0, 1, 2, 3, 4]);
  dies = true;
  venue.feed.last.send(frames[0]);
  await live(feed, venue, 2);
  venue.feed.last.send(frames[1]);
  await venue.until(() => feed.items.length === 6);
  await sleep(50);
  assert.deepEqual(feed.items.map((item) => Number(item[0])), [0, 1, 2, 3, 4, 1]);
});

scene("request may sign with WebCrypto: each frame goes over its own connection", {
  maxLifetime: 60,
  overlap: 20,
}, async (feed, venue) => {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new Uint8Array(32), algorithm, false, ["sign"]);
  feed.sign = async (text, { attempt }) => {
    const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text));
    return `${text} ${attempt} ${signature.byteLength}`;
  };
  feed.subscribe("a");
  await feed.connect();
  await live(feed, venue, 5);
  for (const [index, { frames }] of venue.feed.all.slice(0, 5).entries()) {
    assert.deepEqual(frames, [`+a ${index + 1} 32`]);
  }
});

// ---------------------------------------------------------------- asking

const ASKED = 60;
scene("a connection that is replaced loses no answer", {
  maxLifetime: 180,
  overlap: 20,
}, async (feed, venue) => {
  venue.feed.on((text, client) => void setTimeout(() => client.send(`+${text}`), 100));
  feed.read = (data, connection) => connection.answer(Number(data.slice(1)), data);
  await feed.connect();
  const answers: Promise<unknown>[] = [];
  for (let i = 0; i < ASKED; i++) {
    answers.push(feed.ask(i, String(i)));
    await sleep(18);
  }
  assert.deepEqual(await Promise.all(answers), Array.from({ length: ASKED }, (_, i) => `+${i}`));
  assert(feed.lives.length >= 4, `${feed.lives.length} connections`);
});

for (
  const [fault, act] of Object.entries({
    RST: (client: FeedClient) => client.reset(),
    "FIN without a close frame": (client: FeedClient) => client.finish(),
    "1000": (client: FeedClient) => client.close(1000),
    "1008": (client: FeedClient) => client.close(1008, "too fast"),
  })
) {
  scene(
    `ask: ${fault} before the answer is "unknown", and "not-sent" only what the venue never saw`,
    {
      baseWait: 50,
    },
    async (feed, venue) => {
      venue.feed.on((text, client) => text === "last" && act(client));
      await feed.connect();
      const { last } = venue.feed;
      const names = ["one", "two", "last"];
      const asked = names.map((name) => feed.ask<BrokerError>(name, name).catch((error) => error));
      const errors: BrokerError[] = await Promise.all(asked);
      await venue.until(() => feed.state !== "live");
      errors.push(await feed.ask<BrokerError>("late", "late").catch((error) => error));
      assert.deepEqual(errors.map(({ kind, outcome }) => [kind, outcome]), [
        ["network", "unknown"],
        ["network", "unknown"],
        ["network", "unknown"],
        ["network", "not-sent"],
      ]);
      assert.deepEqual(last.frames, names);
      await live(feed, venue, 2);
      assert.deepEqual(venue.feed.last.frames, []);
    },
  );
}

scene("a login of two questions that is refused leaves no rejection unhandled", {
  maxRetries: 0,
}, async (feed, venue) => {
  venue.feed.on((text, client) => client.send(`-${text}`));
  feed.read = (data, connection) => connection.fail(data.slice(1), new Error(`no ${data}`));
  feed.login = async (connection) => {
    const [key, scope] = [connection.ask("key", "key"), connection.ask("scope", "scope")];
    await key;
    await scope;
  };
  const error = await feed.connect().catch((error) => error);
  assert.equal(error.cause.message, "no -key");
  await sleep(20);
});

// ---------------------------------------------------------------- what fails is told

for (
  const [fault, url] of [
    ["a wrong port", () => "ws://127.0.0.1:1/"],
    ["an unknown host", () => "ws://venue.invalid/"],
    ["a typo in the path (404)", (venue: LoopbackVenue) => venue.wsUrl],
  ] as const
) {
  scene(`${fault} before the feed was ever live is told to error, with a reason`, {
    baseWait: 1_000,
  }, async (feed, venue) => {
    feed.where = () => url(venue);
    feed.connect().catch(() => {});
    await venue.until(() => feed.errors.length === 1);
    const [{ fatal, message, ending }] = feed.errors;
    assert.equal(fatal, false);
    assert.match(
      message,
      /^Cannot keep the feed up: the connection could not be made \(1006, .{10,}\)$/,
    );
    assert.equal(ending, feed.retries[0].ending);
    if (fault.includes("404")) assert.equal(ending!.status, 404);
  }, refuse(404));
}

scene("an endpoint that throws a status of 401 ends the feed; one of 429 waits for retryAfter", {
  maxWait: 20,
}, async (feed, venue) => {
  const init = { kind: "rate-limited", outcome: "rejected", retryAfter: 150 } as const;
  let asked = 0;
  feed.where = () => {
    asked++;
    throw new BrokerError("refused", { ...init, status: asked === 1 ? 429 : 401 });
  };
  const start = performance.now();
  const error = await feed.connect().catch((error) => error);
  assert(performance.now() - start >= 145);
  assert.deepEqual([error.fatal, error.ending.status, asked], [true, 401, 2]);
  assert.equal(venue.feed.upgrades, 0);
});

check("no watch of an upgrade is left behind", async () => {
  const { channel } = await import("node:diagnostics_channel");
  assert.equal(channel("undici:request:headers").hasSubscribers, false);
});

// ---------------------------------------------------------------- suspended processes

/** A venue in a process of its own, which streams and can be stopped; or whatever else `part` names. */
function child(part: string): { process: ChildProcess; port: Promise<number> } {
  const file = fileURLToPath(import.meta.url);
  const args = runtime === "deno" ? ["run", "-A", "--no-config", file] : [file];
  const forked = spawn(process.execPath, [...args, part], { stdio: ["pipe", "pipe", "inherit"] });
  const port = new Promise<number>((resolve) =>
    forked.stdout!.once("data", (text) => resolve(Number(text)))
  );
  return { process: forked, port };
}

/** What the child does: streams to everyone until its stdin ends. */
async function beVenue(): Promise<void> {
  const venue = await LoopbackVenue.listen();
  venue.feed.on((text, client) => client.send(`echo ${text}`));
  console.log(venue.port);
  const timer = setInterval(() => venue.feed.send("tick"), 50);
  process.stdin.on("data", () => {});
  await new Promise((resolve) => process.stdin.on("end", resolve));
  clearInterval(timer);
  await venue.close();
}

check(
  "a stopped venue is noticed within 1 to 1.25 times staleAfter; live again once it resumes",
  async () => {
    const venue = child("venue");
    const staleAfter = 800;
    const feed = new TestFeed(`ws://127.0.0.1:${await venue.port}/`, {
      staleAfter,
      connectTimeout: 500,
    });
    let last = 0;
    feed.on("item", () => last = performance.now());
    try {
      feed.subscribe("a");
      await feed.connect();
      await new Promise((resolve) => feed.on("item", resolve));
      process.kill(venue.process.pid!, "SIGSTOP");
      await new Promise((resolve) => feed.on("retry", resolve));
      const silence = performance.now() - last;
      assert(silence >= staleAfter && silence <= 1.25 * staleAfter + 50, `${silence} ms`);
      assert.match(feed.retries[0].ending.reason, /^silent for 800 ms$/);
      process.kill(venue.process.pid!, "SIGCONT");
      const echo = new Promise((resolve) =>
        feed.on("item", (item) => item === "echo +a" && resolve(0))
      );
      await new Promise((resolve) => feed.on("live", resolve));
      await echo;
    } finally {
      process.kill(venue.process.pid!, "SIGCONT");
      await feed.close();
      venue.process.stdin!.end();
    }
  },
);

check("our own process stopped for 2 s: no reconnect", async () => {
  const venue = child("venue");
  const feed = new TestFeed(`ws://127.0.0.1:${await venue.port}/`, { staleAfter: 500 });
  try {
    await feed.connect();
    await new Promise((resolve) => feed.on("item", resolve));
    const start = performance.now();
    const stopper = spawn("sh", [
      "-c",
      `kill -STOP $0; sleep 2; kill -CONT $0`,
      String(process.pid),
    ]);
    await new Promise((resolve) => stopper.on("exit", resolve));
    assert(performance.now() - start >= 1_900);
    await sleep(1_000);
    assert.deepEqual(feed.states, ["connecting", "live"]);
  } finally {
    await feed.close();
    venue.process.stdin!.end();
  }
});

if (process.argv.at(-1) === "venue") await beVenue();
else await run();
