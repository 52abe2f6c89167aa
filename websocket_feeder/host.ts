/**
 * What the rooms of a feed need of its class: its hooks, and its voice. Internal.
 *
 * @module
 */

import type { Ending, FeedError, FeedEvents, FeedState } from "../feeder.ts";
import type { Connection, Frame } from "./connection.ts";
import type { Endpoint } from "./options.ts";

/** Events that tell of connections. */
type Told = Pick<FeedEvents<unknown>, "retry" | "error">;

/** The feed, as its rooms see it. */
export interface Host {
  /** Makes the next connection. */
  open(): Connection;
  /** Asks the venue class where to dial. */
  endpoint(signal: AbortSignal): string | URL | Endpoint | Promise<string | URL | Endpoint>;
  createSocket(url: string, init: Omit<Endpoint, "url">): WebSocket;
  handshake(connection: Connection): void | Promise<void>;
  receive(connection: Connection, data: string | ArrayBuffer): void;
  ping(connection: Connection): Frame | undefined | Promise<Frame | undefined>;
  goodbye(connection: Connection): Frame | undefined | Promise<Frame | undefined>;
  isFatal(ending: Ending): boolean;
  /** Has a connection that is logged in asked for everything; resolves once that is done. */
  subscribe(connection: Connection): Promise<void>;
  /** The state has changed. */
  moved(state: FeedState, previous: FeedState): void;
  /** A connection is the live one. */
  live(connection: Connection, downtime: number): void;
  /** A connection is no longer the live one, though it may go on for a while. */
  left(connection: Connection): void;
  /** The live connection was lost: from its last frame on, items may be missing. */
  lost(connection: Connection): void;
  /** A connection has ended. */
  ended(connection: Connection): void;
  /** The feed is closed, for good. */
  closed(error: FeedError | undefined): void;
  /** Tells listeners; of `error` only where there are any. */
  tell<K extends keyof Told>(type: K, event: Told[K]): void;
  /** Reports what a hook threw, unless that is to end the feed. */
  threw(hook: string, error: unknown): void;
  /** Reports what ended nothing. */
  report(message: string, cause: unknown): void;
}
