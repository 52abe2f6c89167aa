/**
 * What the tests need of ccxt, a client that shares no code with ours.
 *
 * @module
 */

import type { Level } from "../../examples/levels.ts";

// One of its 200 files would do, but it exports only all of them; its types alone take longer than the tests.
const { pro } = await import("npm:" + "ccxt@4.5.84");

/** A client of ccxt's that ends with its test. */
export interface Ccxt extends AsyncDisposable {
  /** The client. */
  // deno-lint-ignore no-explicit-any
  readonly client: any;
  /** Does something again and again, such as waiting for the next book. */
  follow(next: () => Promise<void>): void;
}

/**
 * Makes a client.
 *
 * @param name Of which venue.
 * @param config Where that is; merged into what the client knows.
 * @returns The client.
 */
export function exchange(name: string, config: Record<string, unknown>): Ccxt {
  const client = new pro[name](config);
  client.has.fetchCurrencies = false; // asked of other hosts
  const fetch = client.fetch.bind(client);
  client.fetch = (url: string, ...rest: unknown[]) => {
    if (url.startsWith("http://127.0.0.1:")) return fetch(url, ...rest);
    throw new Error(`Cannot ask ${new URL(url).host}: it is not simulated`);
  };
  const loops: Promise<void>[] = [];
  const errors: unknown[] = [];
  let isOver = false;
  const loop = async (next: () => Promise<void>) => {
    try {
      while (!isOver) await next();
    } catch (error) {
      if (!isOver) errors.push(error);
    }
  };
  return {
    client,
    follow: (next) => void loops.push(loop(next)),
    async [Symbol.asyncDispose]() {
      isOver = true;
      await client.close();
      await Promise.all(loops);
      if (errors.length > 0) throw errors[0];
    },
  };
}

/** A side of a book as numbers, which are what ccxt has. */
export function numbers(side: readonly Level[] | readonly number[][]): number[][] {
  return Array.from<Level | number[], number[]>(
    side,
    (it) => "price" in it ? [Number(it.price), Number(it.qty)] : [it[0], it[1]],
  );
}

/** Waits until something holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let waited = 0; !condition(); waited += 5) {
    if (waited > 20_000) throw new Error(`Never happened: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
