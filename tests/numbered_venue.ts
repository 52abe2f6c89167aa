/**
 * A venue that numbers its items, on virtual time, and a feed of its items. Runs on Deno, Node and Bun.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import type { FeedEvents } from "../feeder.ts";
import { randomOf } from "../testing.ts";
import { type Gap, WebSocketFeeder, type WebSocketFeederOptions } from "../websocket_feeder.ts";

export interface Item {
  seq: number;
  symbol: string;
  /** When the venue made it, in epoch milliseconds. */
  at: number;
}

/** A socket that the venue holds the other end of. */
export class Socket {
  readyState = 0;
  binaryType = "blob";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;
  readonly subscribed = new Set<string>();
  /** Whether the venue still gets through, which the client may not know. */
  isUp = true;
  readonly #latency: () => number;

  constructor(latency: () => number) {
    this.#latency = latency;
  }
  send(frame: string): void {
    const { op, symbols } = JSON.parse(frame);
    const act = () => {
      for (const symbol of symbols) this.subscribed[op === "subscribe" ? "add" : "delete"](symbol);
    };
    const latency = this.#latency();
    if (latency > 0) setTimeout(act, latency);
    else act();
  }
  close(): void {
    if (this.readyState < 2) this.end(1000);
  }
  open(): void {
    if (this.readyState > 0) return;
    this.readyState = 1;
    this.onopen?.();
  }
  end(code = 1006): void {
    this.isUp = false;
    this.readyState = 3;
    this.onclose?.({ code, reason: "", wasClean: false });
  }
}

export const SYMBOLS = ["A", "B", "C"];

export class Venue {
  readonly log: Item[] = [];
  readonly sockets: Socket[] = [];
  /** How long a frame takes to the venue, in milliseconds. */
  latency = (): number => 0;

  /** Makes an item, and sends it where it is subscribed to. */
  make(symbol: string): void {
    const item = { seq: this.log.length, symbol, at: Date.now() };
    this.log.push(item);
    for (const socket of this.sockets) {
      if (socket.isUp && socket.readyState === 1 && socket.subscribed.has(symbol)) {
        socket.onmessage?.({ data: JSON.stringify(item) });
      }
    }
  }
}

export type Backfill = (gap: Gap, signal: AbortSignal) => Item[] | Promise<Item[]>;

export class Feed extends WebSocketFeeder<Item> {
  readonly delivered: Item[] = [];
  readonly gaps: FeedEvents<Item>["gap"][] = [];
  readonly #venue: Venue;

  constructor(venue: Venue, options: WebSocketFeederOptions = {}) {
    super({ jitter: 0, baseWait: 200, overlap: 100, ...options });
    this.#venue = venue;
    this.on("item", (item) => this.delivered.push(item));
    this.on("gap", (gap) => this.gaps.push(gap));
    this.on("error", () => {});
    this.subscribe(...SYMBOLS);
  }
  protected override endpoint() {
    return "ws://venue/";
  }
  protected override createSocket(): WebSocket {
    this.#venue.sockets.push(new Socket(() => this.#venue.latency()));
    return this.#venue.sockets.at(-1) as unknown as WebSocket;
  }
  protected override request(op: "subscribe" | "unsubscribe", symbols: string[]) {
    return JSON.stringify({ op, symbols });
  }
  protected override receive(data: string | ArrayBuffer) {
    this.emit(JSON.parse(String(data)));
  }
  protected override identify(item: Item) {
    return item.seq;
  }
  swap() {
    this.replace();
  }
}

export class Filling extends Feed {
  fill: Backfill = () => [];

  protected override backfill(gap: Gap, signal: AbortSignal) {
    return this.fill(gap, signal);
  }
}

/** Milliseconds that pass at once. */
const STEP = 25;

/** Lets every promise settle that can. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 40; i++) await null;
}

/** Passes time in small steps, so that what is due comes in its order; without a real timer. */
export async function pass(time: FakeTime, ms: number): Promise<void> {
  await settle();
  for (let left = ms; left > 0; left -= STEP) {
    time.tick(Math.min(left, STEP));
    await settle();
  }
}

/** Connects the feed. */
export async function live<F extends Feed>(time: FakeTime, venue: Venue, feed: F): Promise<F> {
  void feed.connect();
  await settle();
  venue.sockets[0].open();
  await pass(time, 0);
  return feed;
}

/** The numbers of items. */
export const seqs = (items: Item[]): number[] => items.map(({ seq }) => seq);

/** A REST interface that answers, overlaps, fails, hangs, comes late, and gives its pages in no order. */
function unreliable(venue: Venue, random: () => number): Backfill {
  return async ({ since }, signal) => {
    const dice = random();
    if (dice < 0.2) throw new Error("503");
    if (dice < 0.3) return await new Promise(() => {}); // hangs
    if (dice < 0.6) await new Promise((resolve) => setTimeout(resolve, random() * 3_000));
    if (signal.aborted) throw signal.reason;
    const overlap = random() < 0.5 ? 0 : random() * 2_000;
    const missed = venue.log.filter(({ at }) => at >= since - overlap);
    const pages = Array.from({ length: 3 }, (_, i) => missed.filter(({ seq }) => seq % 3 === i));
    return pages.sort(() => random() - 0.5).flat().sort((a, b) => a.seq - b.seq);
  };
}

/**
 * Plays one history of faults, which the seed decides, then a calm time, and holds what was delivered
 * and told against the log of the venue.
 *
 * @param seed A number from 1.
 * @throws {Error} If an item came twice, out of order, or neither came nor was told as missing.
 */
export async function history(seed: number): Promise<void> {
  const random = randomOf(seed);
  const { random: own } = Math;
  Math.random = random;
  const ownNow = Object.getOwnPropertyDescriptor(performance, "now"); // only Bun has one
  const time = new FakeTime(1_000_000); // Node 22 has no `using`
  performance.now = () => Date.now() - 1_000_000; // FakeTime leaves it alone
  try {
    const venue = new Venue();
    const feed = new Filling(venue, {
      backfillTimeout: 1_000 + random() * 4_000,
      connectTimeout: 5_000,
      maxWait: 2_000,
    });
    feed.fill = unreliable(venue, random);
    await live(time, venue, feed);
    venue.latency = () => random() * 100; // within the overlap of the feed
    const step = async (isCalm: boolean) => {
      for (let n = random() * 4; n > 1; n--) venue.make(SYMBOLS[Math.floor(random() * 3)]);
      const socket = venue.sockets.at(-1)!;
      const dice = isCalm ? 1 : random();
      if (dice < 0.08) socket.end();
      else if (dice < 0.12) { // dies unnoticed; the close comes later
        socket.isUp = false;
        setTimeout(() => socket.end(), random() * 2_000);
      } else if (dice < 0.16 && feed.state === "live") feed.swap();
      for (const waiting of venue.sockets) {
        if (waiting.readyState === 0 && (isCalm || random() < 0.7)) waiting.open();
      }
      await pass(time, isCalm ? 200 : random() * 400);
    };
    for (let i = 0; i < 60; i++) await step(false);
    for (let i = 0; i < 80; i++) await step(true); // longer than all timeouts together

    assertEquals(feed.state, "live");
    const told = feed.gaps.filter(({ filled }) => !filled);
    const isTold = ({ at }: Item) => told.some(({ since, until }) => since <= at && at <= until);
    const delivered = new Set(seqs(feed.delivered));
    assertEquals(delivered.size, feed.delivered.length, "each once");
    for (const item of venue.log) {
      assert(delivered.has(item.seq) || isTold(item), `item ${item.seq} is missing, untold`);
    }
    for (const symbol of SYMBOLS) {
      // An item that was told as missing may come late, by the overlap of a later backfill.
      const own = feed.delivered.filter((item) => item.symbol === symbol && !isTold(item));
      assertEquals(seqs(own), seqs(own).sort((a, b) => a - b), "in order");
    }
    const closing = feed.close();
    await pass(time, 10_000);
    await closing;
  } finally {
    Math.random = own;
    time.restore();
    delete (performance as Partial<Performance>).now; // the prototype's shows again
    if (ownNow) Object.defineProperty(performance, "now", ownNow);
  }
}
