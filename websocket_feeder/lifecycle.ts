/**
 * The states of a feed, and the ways from one to another. Internal.
 *
 * Each arrow of the diagram in the doc comment of `WebSocketFeeder` is one method here. `#enter` is
 * the only place that sets the state.
 *
 * @module
 */

import { type Ending, FeedError } from "../feeder.ts";
import { Backoff } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import { establish, part } from "./establish.ts";
import type { Handover } from "./handover.ts";
import type { Host } from "./host.ts";
import type { FeedOptions } from "./options.ts";
import { type Crew, Replacement, retryAfter } from "./replacement.ts";

/** A state, with the data that belong to it. */
export type Phase =
  | { readonly state: "idle" }
  | { readonly state: "connecting"; readonly connection: Connection }
  | {
    readonly state: "live";
    readonly connection: Connection;
    readonly replacement: Replacement;
  }
  | { readonly state: "waiting"; readonly timer: ReturnType<typeof setTimeout> }
  | { readonly state: "closing" }
  | { readonly state: "closed"; readonly error: FeedError | undefined };

/** Makes connections, one after the other, until the feed is closed. */
export class Lifecycle {
  readonly #host: Host;
  readonly #crew: Crew;
  readonly #options: FeedOptions;
  readonly #backoff: Backoff;
  /** Connections that have not ended. */
  readonly #connections = new Set<Connection>();
  #phase: Phase = { state: "idle" };
  /** Time at which the live connection was lost. */
  #lostAt: number | undefined;
  /** Whether `reconnect()` has been called since the feed was live. */
  #isAsked = false;
  /** Whether listeners of `error` have been told of a failed first attempt. */
  #isTold = false;

  /**
   * Makes the lifecycle of a feed, which is idle.
   *
   * @param host The feed.
   * @param options When to repeat.
   * @param handOver Has items told apart, while one connection replaces another.
   */
  constructor(
    host: Host,
    options: FeedOptions,
    handOver: (handover: Handover | undefined) => void,
  ) {
    this.#host = host;
    this.#options = options;
    this.#backoff = new Backoff(options);
    this.#crew = {
      ...host,
      handOver,
      begin: () => this.#begin(),
      swap: (old, next) => this.#swap(old, next),
      keep: (connection) => this.#keep(connection),
      failure: (connection) => this.#failure(connection),
    };
  }

  /** The state, with its data. */
  get phase(): Phase {
    return this.#phase;
  }

  /** The live connection, or the one being made if none is live. */
  get connection(): Connection | undefined {
    return "connection" in this.#phase ? this.#phase.connection : undefined;
  }

  /** idle → connecting. */
  connect(): void {
    this.#dial();
  }

  /** live → waiting, waiting → connecting; at most once before the feed is live again. */
  reconnect(reason: string): void {
    if (this.#isAsked) return;
    if (this.#phase.state === "live") {
      this.#isAsked = true;
      this.#phase.replacement.stop(reason);
      this.#phase.connection.end({ reason });
    } else if (this.#phase.state === "waiting") {
      this.#isAsked = true;
      this.#backoff.reset();
      this.#dial();
    }
  }

  /** idle → closed; connecting, live, waiting → closing. */
  close(): void {
    const { state } = this.#phase;
    if (state === "idle") return this.#finish();
    if (state === "closing" || state === "closed") return;
    this.#enter({ state: "closing" });
    for (const connection of this.#connections) {
      if (connection.isLive) void part(connection, this.#host, this.#options.closeTimeout);
      else connection.leave();
    }
    if (this.#connections.size === 0) this.#finish();
  }

  /** Ends every connection. The ending decides about the next state. */
  endAll(ending: Partial<Ending>): void {
    for (const connection of this.#connections) connection.end(ending);
  }

  /** idle, waiting → connecting. */
  #dial(): void {
    const connection = this.#begin();
    this.#enter({ state: "connecting", connection });
    void establish(connection, this.#host, this.#options).then((isLoggedIn) => {
      if (isLoggedIn && !connection.ending) this.#goLive(connection);
    });
  }

  /** connecting → live. */
  #goLive(connection: Connection): void {
    const downtime = this.#lostAt === undefined ? 0 : performance.now() - this.#lostAt;
    this.#beLive(connection, downtime);
    if (connection.stage !== "current") return; // a listener has closed the feed
    void this.#host.subscribe(connection);
    this.#keep(connection);
  }

  /** live → live, with another connection. */
  #swap(old: Connection, next: Connection): boolean {
    if (this.connection !== old || this.#phase.state !== "live") return false;
    next.liveSince = old.liveSince; // to the feed, it is one life
    if (old.stage === "current") old.move("replaced");
    this.#host.left(old);
    this.#beLive(next, 0);
    return true;
  }

  #beLive(connection: Connection, downtime: number): void {
    const replacement = new Replacement(connection, this.#crew, this.#options);
    this.#isAsked = false;
    this.#enter({ state: "live", connection, replacement });
    if (this.#phase.state !== "live") return; // a listener of `state` has closed the feed
    this.#host.live(connection, downtime);
  }

  /** Begins the lifetime of a connection, after which it is replaced. */
  #keep(connection: Connection): void {
    const phase = this.#phase;
    if (phase.state === "live" && phase.connection === connection) void phase.replacement.run();
  }

  #begin(): Connection {
    const connection = this.#host.open();
    this.#connections.add(connection);
    void connection.ended.then(() => this.#forget(connection));
    return connection;
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    this.#host.ended(connection);
    if (this.connection === connection) this.#lose(connection);
    else if (this.#phase.state === "closing" && this.#connections.size === 0) this.#finish();
  }

  /** connecting, live → waiting or closed; live → live where another connection is ready. */
  #lose(connection: Connection): void {
    if (this.#phase.state === "live") {
      const { replacement } = this.#phase;
      this.#host.lost(connection);
      if (replacement.ready) return void this.#swap(connection, replacement.ready);
      replacement.stop("the one it was to replace has ended");
      this.#lostAt = performance.now();
    }
    const error = this.#failure(connection);
    if (this.connection !== connection) return; // isFatal() has closed the feed
    const repeat = this.#backoff.next(connection.uptime, retryAfter(connection));
    if (!repeat || !error.retriable) return this.#finish(error);
    this.#wait(connection, error, repeat);
  }

  /** connecting, live → waiting. */
  #wait(
    { ending }: Connection,
    error: FeedError,
    repeat: { attempt: number; delay: number },
  ): void {
    const timer = setTimeout(() => this.#dial(), repeat.delay);
    this.#enter({ state: "waiting", timer });
    const isFirst = this.#lostAt === undefined && !this.#isTold;
    if (this.#phase.state === "waiting") this.#host.tell("retry", { ...repeat, ending: ending! });
    if (isFirst) this.#host.tell("error", error);
    this.#isTold = true;
  }

  /** Any → closed. */
  #finish(error?: FeedError): void {
    this.#enter({ state: "closed", error });
    for (const connection of this.#connections) connection.leave();
    this.#host.closed(error);
  }

  #enter(phase: Phase): void {
    const previous = this.#phase;
    if (previous.state === "waiting") clearTimeout(previous.timer);
    this.#phase = phase;
    if (phase.state !== previous.state) this.#host.moved(phase.state, previous.state);
  }

  /** The error of an ending: the one that the venue class threw, if it is a FeedError. */
  #failure({ ending, uptime }: Connection): FeedError {
    const { cause, code, reason, opened } = ending!;
    if (cause instanceof FeedError) return cause;
    let fatal = false;
    try {
      fatal = this.#host.isFatal(ending!);
    } catch (error) {
      this.#host.report("Cannot tell whether an ending is fatal: isFatal() threw", error);
    }
    const state = opened ? "the connection ended" : "the connection could not be made";
    return new FeedError(
      `Cannot keep the feed up: ${state} (${code}, ${reason})`,
      { cause, ending, uptime, fatal },
    );
  }
}
