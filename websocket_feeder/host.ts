/**
 * The feed class as its rooms see it: its hooks, and its voice. Internal.
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
  /** Calls the hook of this name, as the next six do. */
  endpoint(signal: AbortSignal): string | URL | Endpoint | Promise<string | URL | Endpoint>;
  createSocket(url: string, init: Omit<Endpoint, "url">): WebSocket;
  handshake(connection: Connection): void | Promise<void>;
  receive(connection: Connection, data: string | ArrayBuffer): void;
  ping(connection: Connection): Frame | undefined | Promise<Frame | undefined>;
  goodbye(connection: Connection): Frame | undefined | Promise<Frame | undefined>;
  isFatal(ending: Ending): boolean;
  /** Asks a connection for all subscriptions. Resolves once all are asked for and confirmed. */
  subscribe(connection: Connection): Promise<void>;
  /** Tells of a change of state. */
  moved(state: FeedState, previous: FeedState): void;
  /** Announces the live connection. */
  live(connection: Connection, downtime: number): void;
  /** Asks nothing more of a connection, as another one has taken over. */
  left(connection: Connection): void;
  /** The live connection was lost: from its last frame on, items may be missing. */
  lost(connection: Connection): void;
  /** Forgets an ended connection. */
  ended(connection: Connection): void;
  /** Ends the feed for its readers. */
  closed(error: FeedError | undefined): void;
  /** Tells listeners; those of `error` only if there are any. */
  tell<K extends keyof Told>(type: K, event: Told[K]): void;
  /** Reports the error of a hook, or ends the feed with it if it is fatal. */
  threw(hook: string, error: unknown): void;
  /** Reports a fault that ended nothing. */
  report(message: string, cause: unknown): void;
}
