/**
 * Kraken's public REST interface: the time, what is traded, and prices.
 *
 * ```ts ignore
 * await using broker = new KrakenBroker();
 * const { XXBTZUSD } = await broker.ticker("BTC/USD");
 * console.log("last trade", XXBTZUSD.c[0]);
 * ```
 *
 * @module
 */

import {
  AbstractBroker,
  BrokerError,
  type Reply,
  type SessionOptions,
  Throttler,
} from "@aio-trader/core";

/** An asset pair. Many more fields come with it. */
export interface KrakenAssetPair {
  /** Another name, `XBTUSD`. */
  readonly altname: string;
  /** Its name on WebSocket v1, `XBT/USD`. */
  readonly wsname: string;
  /** Decimals of a price. */
  readonly pair_decimals: number;
  /** Decimals of a quantity. */
  readonly lot_decimals: number;
  /** The smallest step of a price. */
  readonly tick_size: string;
  /** The smallest order. */
  readonly ordermin: string;
  /** `"online"`, or why it is not. */
  readonly status: string;
}

/** Prices of an asset pair, under the venue's own short names. Decimals are text. */
export interface KrakenPrices {
  /** Best ask: price, whole lots, lots. */
  readonly a: readonly [price: string, wholeLots: string, lots: string];
  /** Best bid: price, whole lots, lots. */
  readonly b: readonly [price: string, wholeLots: string, lots: string];
  /** Last trade: price, lots. */
  readonly c: readonly [price: string, lots: string];
  /** Volume: today, in 24 hours. */
  readonly v: readonly [today: string, day: string];
  /** Lowest price: today, in 24 hours. */
  readonly l: readonly [today: string, day: string];
  /** Highest price: today, in 24 hours. */
  readonly h: readonly [today: string, day: string];
  /** Today's opening price. */
  readonly o: string;
}

/** Options of {@linkcode KrakenBroker}. */
export interface KrakenBrokerOptions extends Omit<SessionOptions, "baseUrl"> {
  /**
   * The venue's address.
   *
   * @default {"https://api.kraken.com"}
   */
  baseUrl?: string;
}

/** The venue's errors that another attempt may not meet again. */
const PASSING = /^EService:(Unavailable|Busy|Timeout)/;

/** A broker that needs no login: everything here is public. */
export class KrakenBroker extends AbstractBroker {
  /**
   * One request in any second, by the venue's own clock: `"after-finish"` counts from the answer, so
   * that no difference in latency can bring two requests closer together.
   */
  readonly throttler: Throttler = new Throttler({
    limit: 1,
    period: 1_000,
    refill: "after-finish",
  });

  /**
   * Makes a broker. Nothing is sent yet.
   *
   * @param options The venue's address, and anything a session takes.
   */
  constructor({ baseUrl = "https://api.kraken.com", ...options }: KrakenBrokerOptions = {}) {
    super();
    this.initialiseSession({
      throttlers: [this.throttler],
      ...options,
      baseUrl: new URL("0/public", baseUrl),
    });
  }

  /** Does nothing: there is no login. */
  override async authorize(): Promise<void> {}

  /**
   * Asks for the venue's time.
   *
   * @returns Epoch milliseconds.
   */
  async time(): Promise<number> {
    return (await this.#get<{ unixtime: number }>("Time")).unixtime * 1_000;
  }

  /**
   * Asks what is traded.
   *
   * @param pairs Which pairs, by any of their names; all if none is given.
   * @returns The pairs, by the venue's own id (`XXBTZUSD`).
   * @throws {BrokerError} If a pair is unknown: kind "rejected", code "EQuery:Unknown asset pair".
   */
  assetPairs(...pairs: string[]): Promise<Record<string, KrakenAssetPair>> {
    return this.#get("AssetPairs", pairs);
  }

  /**
   * Asks for prices.
   *
   * @param pairs Which pairs, by any of their names; all if none is given.
   * @returns The prices, by the venue's own id (`XXBTZUSD`).
   * @throws {BrokerError} If a pair is unknown: kind "rejected", code "EQuery:Unknown asset pair".
   */
  ticker(...pairs: string[]): Promise<Record<string, KrakenPrices>> {
    return this.#get("Ticker", pairs);
  }

  /** The venue answers 200 to what it refuses: `{"error": ["EQuery:Unknown asset pair"]}`. */
  protected override failure({ data }: Reply): BrokerError | undefined {
    const { error = [] }: { error?: string[] } = Object(data);
    const code = error.find((text) => text.startsWith("E")); // those with W are warnings
    if (code === undefined) return undefined;
    const kind = /rate limit|too many requests/i.test(code) ? "rate-limited" : "rejected";
    return new BrokerError(`Kraken says ${code}`, {
      kind,
      outcome: "rejected",
      code,
      retriable: kind === "rate-limited" || PASSING.test(code),
    });
  }

  async #get<T>(path: string, pairs: string[] = []): Promise<T> {
    const query = { pair: pairs.length > 0 ? pairs.join(",") : undefined };
    return (await this.session.get<{ result: T }>(path, { query })).result;
  }
}
