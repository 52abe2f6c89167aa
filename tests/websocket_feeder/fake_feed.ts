/** A feed over sockets that do as they are told: what the tests of feeds share. */

import { assertEquals, assertFalse } from "@std/assert";
import type { FakeTime } from "@std/testing/time";
import type { FeedError, FeedEvents } from "../../feeder.ts";
import {
  type AskOptions,
  type Endpoint,
  type FeedConnection,
  type Frame,
  type RefuseOptions,
  WebSocketFeeder,
  type WebSocketFeederOptions,
} from "../../websocket_feeder.ts";

/** A socket that does as it is told, and nothing by itself. */
export class FakeSocket {
  readyState = 0;
  binaryType = "blob";
  readonly sent: Frame[] = [];
  closedWith: number | undefined;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onerror: ((event: { message?: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string; wasClean: boolean }) => void) | null = null;

  constructor(readonly url: string, readonly init: Omit<Endpoint, "url">) {}

  send(frame: Frame): void {
    assertEquals(this.readyState, 1, "a frame sent into a socket that is not open");
    this.sent.push(frame);
  }
  close(code?: number): void {
    this.closedWith = code;
    if (this.readyState < 2) this.readyState = 2;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(data: string | ArrayBuffer): void {
    this.onmessage?.({ data });
  }
  /** As Node 22 does: nothing follows an error while connecting. */
  fail(message = ""): void {
    this.onerror?.({ message });
  }
  end(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason, wasClean: code !== 1006 });
  }
}

export interface Sub {
  symbol: string;
  depth: number;
}

/** A feed over fake sockets, whose requests are `+a,b` and `-a,b`. */
export class TestFeed<S = string> extends WebSocketFeeder<string, S> {
  readonly sockets: FakeSocket[] = [];
  readonly retries: FeedEvents<string>["retry"][] = [];
  readonly lives: FeedEvents<string>["live"][] = [];
  readonly subscribed: FeedEvents<string>["subscribed"][] = [];
  readonly states: string[] = [];
  readonly errors: FeedError[] = [];
  readonly items: string[] = [];
  readonly signals: AbortSignal[] = [];
  where: () => string | URL | Endpoint | Promise<string | URL | Endpoint> = () => "ws://venue/";

  constructor(options: WebSocketFeederOptions = {}) {
    super({ jitter: 0, ...options });
    this.on("retry", (event) => this.retries.push(event));
    this.on("live", (event) => this.lives.push(event));
    this.on("subscribed", (event) => this.subscribed.push(event));
    this.on("state", ({ state }) => this.states.push(state));
    this.on("error", (event) => this.errors.push(event));
    this.on("item", (event) => this.items.push(event));
  }
  get socket(): FakeSocket {
    return this.sockets[this.sockets.length - 1];
  }
  protected override createSocket(url: string, init: Omit<Endpoint, "url">): WebSocket {
    this.sockets.push(new FakeSocket(url, init));
    return this.socket as unknown as WebSocket;
  }
  protected override endpoint(signal: AbortSignal) {
    this.signals.push(signal);
    return this.where();
  }
  protected override receive(
    data: string | ArrayBuffer,
    _connection: FeedConnection,
  ): void | Promise<void> {
    this.emit(String(data));
  }
  protected override request(
    op: "subscribe" | "unsubscribe",
    subs: S[],
    _connection: FeedConnection,
  ): Frame | Iterable<Frame> | Promise<Frame | Iterable<Frame>> {
    return `${op === "subscribe" ? "+" : "-"}${subs.map((sub) => this.name(sub)).join()}`;
  }
  protected name(sub: S): string {
    return typeof sub === "object" ? Object.values(sub!).join("@") : String(sub);
  }
  override send(frame: Frame): boolean {
    return super.send(frame);
  }
  override ask<R = unknown>(id: unknown, frame: Frame, options?: AskOptions): Promise<R> {
    return super.ask(id, frame, options);
  }
  override confirm(...subs: S[]): void {
    super.confirm(...subs);
  }
  override refuse(sub: S, why: string, options?: RefuseOptions): void {
    super.refuse(sub, why, options);
  }
  override emit(item: string, connection?: FeedConnection): void {
    super.emit(item, connection);
  }
  override resubscribe(...subs: S[]): void {
    super.resubscribe(...subs);
  }
}

/** Lets every promise that can settle do so. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}

/** Passes time, with all that was due before it and comes of it. */
export async function tick(time: FakeTime, ms: number): Promise<void> {
  await settle();
  await time.tickAsync(ms);
  await settle();
}

/** Passes time in steps, so that timers which come of a promise are set at their own time. */
export async function pass(time: FakeTime, ms: number, step = 100): Promise<void> {
  for (let passed = 0; passed < ms; passed += step) await tick(time, Math.min(step, ms - passed));
}

export async function connected<F extends TestFeed<S>, S>(feed: F): Promise<F> {
  feed.connect().catch(() => {});
  await settle();
  feed.socket.open();
  await settle();
  return feed;
}

/** Closes the feed, whose peer answers, and asserts that no timer is left. */
export async function over<S>(feed: TestFeed<S>, time?: FakeTime): Promise<void> {
  const closing = feed.close();
  for (let i = 0; i < 3; i++) {
    await settle();
    feed.sockets.forEach((socket) => socket.end(1000));
  }
  await closing;
  if (time) assertFalse(time.next(), "a timer is left");
}

/** A pace that lets a call through when it is told to. */
export class Gate {
  #waiting: (() => void)[] = [];
  closed = false;
  get size(): number {
    return this.#waiting.length;
  }
  run<R>(fn: () => R | PromiseLike<R>, { signal }: { signal?: AbortSignal } = {}): Promise<R> {
    if (this.closed) return Promise.reject(new Error("pace is closed"));
    return new Promise((resolve, reject) => {
      const pass = () => signal?.aborted ? reject(signal.reason) : resolve(fn());
      this.#waiting.push(pass);
      signal?.addEventListener("abort", () => {
        this.#waiting = this.#waiting.filter((other) => other !== pass);
        reject(signal.reason);
      });
    });
  }
  async open(count = Infinity): Promise<void> {
    for (let i = 0; i < count && this.#waiting.length > 0; i++) {
      this.#waiting.shift()!();
      await settle();
    }
  }
}
