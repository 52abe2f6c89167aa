/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the wait: the promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Whether the wait keeps the process alive. @default {true} */
  persistent?: boolean;
}

/** The longest delay that a timer of the platform can hold: a longer one would fire at once. */
const LONGEST = 2 ** 31 - 1;

/** Resolves after `ms` milliseconds, or rejects with the reason of `signal`, leaving no timer and no listener. */
export function delay(ms: number, { signal, persistent = true }: DelayOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let timer: number;
    const arm = (left: number) => {
      const now = Math.min(left, LONGEST);
      timer = Number(setTimeout(() => now < left ? arm(left - now) : done(), now));
      // deno-lint-ignore no-explicit-any -- only Deno has it, and this runs everywhere
      if (!persistent) (globalThis as any).Deno?.unrefTimer(timer);
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
