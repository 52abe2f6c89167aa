/**
 * A part of a feed with readers of its own: items that come over the same socket, and have queues
 * where no tick takes their place.
 *
 * @module
 */

import { AbstractFeeder, type FeedError } from "@aio-trader/core";

/** The feed that a side channel belongs to. */
export interface MainFeed {
  /** Resolves when the feed is closed, to the error that ended it. */
  readonly closed: Promise<FeedError | undefined>;
  /** Connects the feed. */
  connect(): Promise<void>;
  /** Closes the feed. */
  close(): Promise<void>;
}

/**
 * Connects, closes and fails with its feed.
 *
 * @typeParam T Items that the channel delivers.
 */
export class SideChannel<T> extends AbstractFeeder<T> {
  readonly #feed: MainFeed;

  /**
   * Makes a channel.
   *
   * @param feed The feed that it belongs to.
   */
  constructor(feed: MainFeed) {
    super();
    this.#feed = feed;
    feed.closed.then((error) => this.end(error));
  }

  /** Connects the feed. */
  override connect(): Promise<void> {
    return this.#feed.connect();
  }

  /** Closes the feed. */
  override close(): Promise<void> {
    return this.#feed.close();
  }

  /**
   * Delivers an item.
   *
   * @param item The item.
   */
  publish(item: T): void {
    this.emit(item);
  }
}
