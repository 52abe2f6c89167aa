/**
 * A page that uses the module, for `browser_check.ts`. Each function runs in the browser.
 *
 * @module
 */

import {
  BrokerError,
  type RequestOptions,
  retry,
  Session,
  type SessionOptions,
  Throttler,
  WebSocketFeeder,
} from "../../mod.ts";

/** The end of a call. */
export type Result =
  | { data: unknown }
  | { kind: string; outcome: string; message: string; retriable: boolean };

const OPTIONS: Record<string, () => RequestOptions> = {
  json: () => ({ json: { quantity: 1 } }),
  bytes: () => ({ body: new TextEncoder().encode("quantity=1") }),
  none: () => ({}),
  idempotent: () => ({ json: { quantity: 1 }, idempotent: true, retry: false }),
};

/** Calls the venue that served the page. */
async function call(
  method: string,
  path: string,
  options: string,
  init: Partial<SessionOptions> = {},
): Promise<Result> {
  const session = new Session({ baseUrl: location.origin, retry: { baseWait: 1 }, ...init });
  try {
    return { data: (await session.request(method, path, OPTIONS[options]())).data };
  } catch (error) {
    const { name, kind, outcome, message, retriable } = error as BrokerError;
    return { kind: error instanceof BrokerError ? kind : name, outcome, message, retriable };
  } finally {
    await session.close();
  }
}

/** The functions that `browser_check.ts` calls. */
const page = {
  call,

  /** The same through a `fetch` of the session's own. */
  callWithFetch(method: string, path: string, options: string): Promise<Result> {
    return call(method, path, options, { fetch: (...args) => fetch(...args) });
  },

  /** Lets six calls pass a throttler of two in 100 ms, and returns how long they took. */
  async throttle(): Promise<number> {
    await using throttler = new Throttler({ limit: 2, period: 100 });
    const start = performance.now();
    await Promise.all(Array.from({ length: 6 }, () => throttler.run(() => {})));
    return performance.now() - start;
  },

  /** Repeats a function that fails twice, and returns the number of its calls. */
  async retry(): Promise<number> {
    let calls = 0;
    await retry(() => {
      if (++calls < 3) throw new TypeError("Failed to fetch");
    }, { baseWait: 1, shouldRetry: () => true })();
    return calls;
  },

  /** Reads three items from a feed whose connection ends after each two. */
  async feed(url: string): Promise<unknown[]> {
    class Feed extends WebSocketFeeder<string> {
      protected override endpoint() {
        return url;
      }
      protected override request(op: string, subscriptions: string[]) {
        return `${op} ${subscriptions}`;
      }
      protected override receive(data: string | ArrayBuffer) {
        this.emit(String(data));
      }
    }
    await using feed = new Feed({ baseWait: 1 });
    setTimeout(() => feed.close(), 10_000);
    feed.subscribe("INFY", "TCS");
    const items: string[] = [];
    const stream = feed.stream();
    await feed.connect();
    for await (const item of stream) {
      items.push(item);
      if (items.length === 3) break;
    }
    return items;
  },
};

/** The type of the functions. */
export type Page = typeof page;

Object.assign(globalThis, { page });
