/**
 * The WebSocket side of a venue's script: clients, frames and their faults, whatever the stage.
 *
 * @module
 */

import { type FrameFault, type FrameFaultOptions, Strikes } from "./faults.ts";
import { VenueReply } from "./reply.ts";

/**
 * A frame: text or bytes.
 *
 * @example What a client has sent
 * ```ts
 * import { SimulatedVenue, type VenueFrame, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * const heard: VenueFrame[] = [];
 * venue.feed.on((frame) => heard.push(frame));
 * const socket = venue.createSocket(venue.wsUrl);
 * socket.onopen = () => socket.send("subscribe INFY");
 * await time.pass(1_000);
 *
 * assertEquals(heard, ["subscribe INFY"]);
 * socket.close();
 * await time.pass(1_000);
 * ```
 */
export type VenueFrame = string | Uint8Array<ArrayBuffer>;

/**
 * What a stage does with one client's connection.
 *
 * @example A client without a socket
 * ```ts
 * import { SimulatedVenue, type Wire } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const written: unknown[] = [];
 * const wire: Wire = {
 *   write: (frame) => void written.push(frame),
 *   close() {},
 *   reset() {},
 *   finish() {},
 * };
 * new SimulatedVenue().feed.add("/", new Headers(), wire).send({ price: 1 });
 * assertEquals(written, ['{"price":1}']);
 * ```
 */
export interface Wire {
  /** Writes a frame. */
  write(frame: VenueFrame): void;
  /** Begins the closing handshake. */
  close(code?: number, reason?: string): void;
  /** Resets the connection. */
  reset(): void;
  /** Closes the connection without a close frame. */
  finish(): void;
  /** Writes bytes that are no frame of the script's, and waits until they are on their way. */
  raw?(bytes: Uint8Array): Promise<void>;
}

/**
 * One client's socket, as the venue sees it.
 *
 * @example A venue that keeps what it has granted
 * ```ts
 * import { type FeedClient, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * const grant = (frame: unknown, client: FeedClient) => void client.held.add(String(frame));
 * venue.feed.on(grant);
 * const socket = venue.createSocket(venue.wsUrl);
 * socket.onopen = () => socket.send("INFY");
 * await time.pass(1_000);
 *
 * assertEquals([...venue.feed.clients[0].held], ["INFY"]);
 * socket.close();
 * await time.pass(1_000);
 * ```
 */
export class FeedClient {
  /** Number of the connection, from 1. */
  readonly id: number;
  /** The path and query that were dialled. */
  readonly path: string;
  /** The headers of the upgrade. */
  readonly headers: Headers;
  /** The subscriptions that the venue holds for this client. Handlers keep it. */
  readonly held: Set<string> = new Set();
  /** The frames of this client that the venue has heard, in order. */
  readonly frames: VenueFrame[] = [];
  /** Whether the connection is open. */
  isOpen = true;
  /** Whether nothing is sent any more, though the connection stays open. */
  isSilent = false;
  /** The code of the client's close frame. */
  closeCode: number | undefined;
  readonly #wire: Wire;
  readonly #script: FeedScript;

  /** Makes a client; stages do. */
  constructor(id: number, path: string, headers: Headers, wire: Wire, script: FeedScript) {
    this.id = id;
    this.path = path;
    this.headers = headers;
    this.#wire = wire;
    this.#script = script;
  }

  /**
   * Sends a frame, if the connection is open and not silent, and as the faults of frames allow.
   *
   * @param frame Text, bytes, or a value that becomes JSON.
   */
  send(frame: VenueFrame | object): void {
    const isRaw = typeof frame === "string" || frame instanceof Uint8Array;
    this.#script.pass(isRaw ? frame as VenueFrame : JSON.stringify(frame), (frame) => {
      if (this.isOpen && !this.isSilent) this.#wire.write(frame);
    });
  }

  /**
   * Begins the closing handshake.
   *
   * @param code The close code; none sends an empty close frame.
   * @param reason The reason.
   */
  close(code?: number, reason?: string): void {
    if (this.isOpen) this.#wire.close(code, reason);
  }

  /** Resets the connection: RST. */
  reset(): void {
    if (this.isOpen) this.#wire.reset();
  }

  /** Closes the connection without a close frame: FIN. */
  finish(): void {
    if (this.isOpen) this.#wire.finish();
  }

  /**
   * Writes bytes to the connection as they are: broken frames, several in one segment, or a flood
   * that waits for a slow client. No fault of frames strikes them.
   *
   * @param bytes Frames as the protocol writes them.
   * @returns Resolves once the bytes are on their way, so whoever awaits it goes as slowly as the
   *   client reads.
   * @throws {Error} If the connection has no bytes, as those of a `SimulatedVenue`.
   *
   * @example A frame of a kind that does not exist
   * ```ts
   * import { LoopbackVenue } from "@aio-trader/core/testing";
   * import { assertEquals } from "@std/assert";
   *
   * await using venue = await LoopbackVenue.listen();
   * venue.feed.onOpen((client) => client.raw(Uint8Array.of(0x83, 0))); // opcode 3, empty
   * const socket = new WebSocket(venue.wsUrl);
   * const code = await new Promise((resolve) => socket.onclose = ({ code }) => resolve(code));
   * assertEquals(code === 1000, false); // the client gives up
   * ```
   */
  async raw(bytes: Uint8Array): Promise<void> {
    if (!this.#wire.raw) {
      throw new Error("Cannot write bytes: the connection has none, only frames");
    }
    if (this.isOpen) await this.#wire.raw(bytes);
  }
}

/**
 * How upgrades are refused.
 *
 * @example Three upgrades are refused
 * ```ts
 * import { type RefuseOptions, SimulatedVenue } from "@aio-trader/core/testing";
 *
 * const busy: RefuseOptions = { status: 429, headers: { "retry-after": "2" }, times: 3 };
 * new SimulatedVenue().feed.refuse(busy);
 * ```
 */
export interface RefuseOptions {
  /**
   * The status.
   *
   * @default {503}
   */
  status?: number | undefined;
  /** Headers, such as Retry-After. */
  headers?: Record<string, string> | undefined;
  /**
   * How many upgrades, from the next one. `Infinity`: all.
   *
   * @default {1}
   */
  times?: number | undefined;
}

/**
 * What a stage does with an upgrade.
 *
 * @example A stage that asks the script
 * ```ts
 * import { type Admission, SimulatedVenue } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const { feed } = new SimulatedVenue();
 * feed.refuse({ status: 503 });
 * const admission: Admission = await feed.admit({ path: "/", headers: new Headers() });
 * assertEquals(admission.verdict, "refuse");
 * ```
 */
export type Admission =
  | { readonly verdict: "accept" | "hang" }
  | {
    readonly verdict: "refuse";
    readonly status: number;
    readonly headers: Record<string, string>;
    readonly body?: string | Uint8Array;
  };

/**
 * What a client sends to open its connection.
 *
 * @example A venue that wants a key
 * ```ts
 * import { reply, SimulatedVenue, type Upgrade } from "@aio-trader/core/testing";
 *
 * const isKnown = ({ path }: Upgrade) => path.includes("api_key=");
 * new SimulatedVenue().feed.onUpgrade((upgrade) => isKnown(upgrade) ? undefined : reply(401));
 * ```
 */
export interface Upgrade {
  /** The path and query that were dialled. */
  readonly path: string;
  /** The headers. */
  readonly headers: Headers;
}

/**
 * Tells which frames a fault strikes.
 *
 * @example Any frame about one symbol
 * ```ts
 * import { type FrameMatch, SimulatedVenue } from "@aio-trader/core/testing";
 *
 * const infy: FrameMatch = /"symbol":"INFY"/;
 * new SimulatedVenue().feed.fail(infy, "repeat", { times: Infinity });
 * ```
 */
export type FrameMatch = string | RegExp | ((frame: VenueFrame) => boolean);

interface FramePlan {
  readonly match: FrameMatch;
  readonly fault: FrameFault;
  readonly delay: number;
  readonly strikes: Strikes;
}

/**
 * The WebSocket side of a venue: a part of {@linkcode VenueScript}.
 *
 * @example A restart, and a venue that has no room then
 * ```ts
 * import { type FeedScript, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
 * import { assertEquals } from "@std/assert";
 *
 * using time = new VirtualTime();
 * const venue = new SimulatedVenue();
 * const feed: FeedScript = venue.feed;
 * const codes: number[] = [];
 * const dial = () => venue.createSocket(venue.wsUrl).onclose = ({ code }) => codes.push(code);
 * dial();
 * await time.pass(1_000);
 * feed.drop(1012);
 * feed.refuse({ status: 503 });
 * dial();
 * await time.pass(1_000);
 * assertEquals([codes[0], codes.length], [1012, 2]);
 * ```
 */
export class FeedScript {
  /** Every client that was ever accepted, in order. */
  readonly all: FeedClient[] = [];
  /** Every frame of every client that the venue has heard, in order. */
  readonly frames: { client: FeedClient; frame: VenueFrame; at: number }[] = [];
  /** Whether close frames of clients are ignored. */
  isDeaf = false;
  /** Upgrades so far, the refused ones too. */
  upgrades = 0;
  readonly #muted = new Set<string>();
  readonly #admissions: { admission: Admission; strikes: Strikes }[] = [];
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #plans: FramePlan[] = [];
  /** Writes the frames that wait for the next one, which goes first: the latest before the others. */
  #swapped: (() => void) | undefined;
  readonly #errors: unknown[];
  #onFrame: (frame: VenueFrame, client: FeedClient) => unknown = () => {};
  #onOpen: (client: FeedClient) => unknown = () => {};
  #onUpgrade: (upgrade: Upgrade) => unknown = () => {};

  /**
   * Makes a script.
   *
   * @param errors Takes what handlers throw.
   */
  constructor(errors: unknown[] = []) {
    this.#errors = errors;
  }

  /** The clients that are connected. */
  get clients(): FeedClient[] {
    return this.all.filter(({ isOpen }) => isOpen);
  }

  /**
   * The client that was accepted last.
   *
   * @throws {Error} If there was none.
   */
  get last(): FeedClient {
    const last = this.all.at(-1);
    if (!last) throw new Error("Cannot tell the last client: none was accepted");
    return last;
  }

  /**
   * Says what the venue does with a frame of a client. What the handler throws is kept in
   * {@linkcode VenueScript.errors}.
   *
   * @param handler Called with each frame, in order.
   */
  on(handler: (frame: VenueFrame, client: FeedClient) => unknown): void {
    this.#onFrame = handler;
  }

  /**
   * Says which upgrades the venue accepts. {@linkcode FeedScript.refuse} and
   * {@linkcode FeedScript.hang} come first.
   *
   * @param handler Called with each upgrade. A {@linkcode reply} that it returns or throws refuses
   *   the upgrade, anything else accepts it. The client waits as long as a promise does.
   *
   * @example A venue that wants a key, and takes its time to look at it
   * ```ts
   * import { reply, SimulatedVenue, VirtualTime } from "@aio-trader/core/testing";
   * import { assertEquals } from "@std/assert";
   *
   * using time = new VirtualTime();
   * const venue = new SimulatedVenue();
   * venue.feed.onUpgrade(async ({ path }) => {
   *   await new Promise((resolve) => setTimeout(resolve, 500));
   *   if (!path.endsWith("?api_key=mine")) return reply(401);
   * });
   *
   * const told: string[] = [];
   * for (const key of ["mine", "yours"]) {
   *   const socket = venue.createSocket(`${venue.wsUrl}?api_key=${key}`);
   *   socket.onopen = () => told.push(`${key} is open`);
   *   socket.onclose = () => told.push(`${key} is refused`);
   * }
   * await time.pass(400);
   * assertEquals(told, []);
   * await time.pass(600);
   * assertEquals(told.sort(), ["mine is open", "yours is refused"]);
   * ```
   */
  onUpgrade(handler: (upgrade: Upgrade) => unknown): void {
    this.#onUpgrade = handler;
  }

  /**
   * Says what the venue does once a client is connected. On real sockets, what it sends then comes in
   * the same segment as the answer to the upgrade. What the handler throws is kept in
   * {@linkcode VenueScript.errors}.
   *
   * @param handler Called with each client.
   */
  onOpen(handler: (client: FeedClient) => unknown): void {
    this.#onOpen = handler;
  }

  /**
   * Sends a frame to each client.
   *
   * @param frame Text, bytes, or a value that becomes JSON.
   */
  send(frame: VenueFrame | object): void {
    for (const client of this.clients) client.send(frame);
  }

  /**
   * Sends a frame to each client that holds a subscription, unless the subscription is mute.
   *
   * @param subscription As it stands in {@linkcode FeedClient.held}.
   * @param frame Text, bytes, or a value that becomes JSON.
   */
  publish(subscription: string, frame: VenueFrame | object): void {
    if (this.#muted.has(subscription)) return;
    for (const client of this.clients) if (client.held.has(subscription)) client.send(frame);
  }

  /** Publishes nothing of a subscription until {@linkcode FeedScript.unmute}, and says nothing of it. */
  mute(subscription: string): void {
    this.#muted.add(subscription);
  }

  /** Publishes a subscription again. */
  unmute(subscription: string): void {
    this.#muted.delete(subscription);
  }

  /**
   * Closes every connection in order, as for a restart.
   *
   * @param code The close code.
   * @param reason The reason.
   */
  drop(code = 1012, reason = ""): void {
    for (const client of this.clients) client.close(code, reason);
  }

  /** Resets every connection. */
  reset(): void {
    for (const client of this.clients) client.reset();
  }

  /** Closes every connection without a close frame. */
  vanish(): void {
    for (const client of this.clients) client.finish();
  }

  /** Keeps every connection open, and sends nothing more over it. */
  silence(): void {
    for (const client of this.clients) client.isSilent = true;
  }

  /**
   * Refuses upgrades. A feed hears the status where its runtime tells it, and then ends at 401 and
   * 403; browsers tell none. Node 24 asks twice after a 401: say `times: 2` or more there.
   *
   * @param options The status, and how many.
   */
  refuse({ status = 503, headers = {}, times = 1 }: RefuseOptions = {}): void {
    const strikes = new Strikes({ times });
    this.#admissions.push({ admission: { verdict: "refuse", status, headers }, strikes });
  }

  /**
   * Never answers upgrades.
   *
   * @param times How many, from the next one.
   */
  hang(times = 1): void {
    this.#admissions.push({ admission: { verdict: "hang" }, strikes: new Strikes({ times }) });
  }

  /**
   * Plans a fault of frames. Of several plans for one frame, the earliest that strikes counts.
   *
   * @param match Which frames: those that hold a text, match a pattern, or suit a function.
   * @param fault What happens. `"lose-request"` strikes frames of clients, the others the venue's.
   * @param options When it strikes.
   */
  fail(match: FrameMatch, fault: FrameFault, options: FrameFaultOptions = {}): void {
    const { delay = 1_000 } = options;
    this.#plans.push({ match, fault, delay, strikes: new Strikes(options) });
  }

  /** Plans no fault any more, mutes nothing, and hears close frames. */
  heal(): void {
    this.#plans = [];
    this.#admissions.length = 0;
    this.#muted.clear();
    this.isDeaf = false;
  }

  /** Decides about an upgrade. For stages. */
  async admit(upgrade: Upgrade): Promise<Admission> {
    this.upgrades++;
    const planned = this.#admissions.find(({ strikes }) => strikes.next());
    if (planned) return planned.admission;
    const answer = await this.#run(() => this.#onUpgrade(upgrade), new VenueReply(500, {}, ""));
    if (!(answer instanceof VenueReply)) return { verdict: "accept" };
    const { status, headers, body } = answer;
    return { verdict: "refuse", status, headers, body };
  }

  /** Adds a client that was accepted. For stages. */
  add(path: string, headers: Headers, wire: Wire): FeedClient {
    const client = new FeedClient(this.all.length + 1, path, headers, wire, this);
    this.all.push(client);
    void this.#run(() => this.#onOpen(client));
    return client;
  }

  /** Hears a frame of a client. For stages. */
  hear(frame: VenueFrame, client: FeedClient): void {
    if (this.#strike(frame, true)) return;
    client.frames.push(frame);
    this.frames.push({ client, frame, at: Date.now() });
    void this.#run(() => this.#onFrame(frame, client));
  }

  /** Sends a frame of the venue as the faults allow. For clients. */
  pass(frame: VenueFrame, write: (frame: VenueFrame) => void): void {
    const plan = this.#strike(frame, false);
    if (plan?.fault === "lose") return;
    if (plan?.fault === "delay") return this.#later(plan.delay, () => write(frame));
    if (plan?.fault === "swap") {
      const waiting = this.#swapped;
      this.#swapped = () => {
        write(frame);
        waiting?.();
      };
      return;
    }
    write(frame);
    if (plan?.fault === "repeat") write(frame);
    const waiting = this.#swapped;
    this.#swapped = undefined;
    waiting?.();
  }

  /** Stops the timers of delayed frames. For stages. */
  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Runs a handler. Keeps what it throws, a reply apart, and returns the answer to that instead. */
  async #run(handler: () => unknown, onError?: VenueReply): Promise<unknown> {
    try {
      return await handler();
    } catch (error) {
      if (error instanceof VenueReply && onError) return error;
      this.#errors.push(error);
      return onError;
    }
  }

  #later(delay: number, callback: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      callback();
    }, delay);
    this.#timers.add(timer);
  }

  #strike(frame: VenueFrame, isRequest: boolean): FramePlan | undefined {
    return this.#plans.find(({ fault, match, strikes }) =>
      (fault === "lose-request") === isRequest && isMatch(frame, match) && strikes.next()
    );
  }
}

function isMatch(frame: VenueFrame, match: FrameMatch): boolean {
  if (typeof match === "function") return match(frame);
  const text = typeof frame === "string" ? frame : new TextDecoder().decode(frame);
  return typeof match === "string" ? text.includes(match) : match.test(text);
}
