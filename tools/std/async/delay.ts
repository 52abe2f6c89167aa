/**
 * A stand-in for `@std/async/delay`. The option `persistent` is left out: with the real one it has
 * no effect on Deno 2.9, nor on Node or Bun.
 *
 * @module
 */

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** The longest delay that a timer of the platform can hold: a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1;

/**
 * Resolves after `ms` milliseconds, or rejects with the reason of `signal`, leaving no timer and no
 * listener.
 */
export function delay(ms: number, { signal }: DelayOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let timer: number;
    const arm = (left: number) => {
      const now = Math.min(left, LONGEST);
      timer = Number(setTimeout(() => now < left ? arm(left - now) : done(), now));
    };
    const abort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const done = () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    };
    signal?.addEventListener("abort", abort, { once: true });
    arm(Math.max(0, Math.trunc(ms) || 0));
  });
}
