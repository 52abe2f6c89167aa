/**
 * A test harness of the size of its job: the same checks on Deno, Node and Bun, without a library.
 *
 * ```ts ignore
 * check("retry() repeats a refused connection", async () => {
 *   assert.equal(await call(), "answered"); // node:assert/strict
 * });
 * await run();
 * ```
 *
 * A rejection that nobody handled fails the run, a check that takes longer than its limit fails,
 * and so does a process that does not end by itself after the last check: something was left open.
 *
 * @module
 */

import process from "node:process";

/** Where this runs. */
export const runtime: "deno" | "node" | "bun" = "Deno" in globalThis
  ? "deno"
  : "Bun" in globalThis
  ? "bun"
  : "node";

/** How a check is run. */
export interface CheckOptions {
  /** Longest time it may take, in milliseconds. @default {10_000} */
  timeout?: number;
}

interface Check extends CheckOptions {
  name: string;
  fn: () => unknown;
}

/** How long the process may live on after the last check, in milliseconds. */
const GRACE = 5_000;

const checks: Check[] = [];
const stray: unknown[] = [];

/** Adds a check. It passes if `fn` neither throws nor rejects, and leaves no rejection behind. */
export function check(name: string, fn: () => unknown, options: CheckOptions = {}): void {
  checks.push({ name, fn, ...options });
}

/**
 * Runs the checks in order and prints one line for each, then the count. Sets the exit code; never
 * throws.
 */
export async function run(): Promise<void> {
  let over = false;
  const catchStray = (error: unknown) => {
    if (!over) return stray.push(error);
    console.error(`FAILED  after the last check, nobody handled:\n${describe(error)}`);
    process.exitCode = 1;
  };
  process.on("unhandledRejection", catchStray);
  process.on("uncaughtException", catchStray);
  let failed = 0;
  for (const { name, fn, timeout = 10_000 } of checks) {
    const start = performance.now();
    const problem = await attempt(fn, timeout);
    const took = Math.round(performance.now() - start);
    if (problem) failed++;
    console.log(
      problem ? `FAILED  ${name} (${took} ms)\n${problem}` : `ok      ${name} (${took} ms)`,
    );
  }
  // A runner that checked nothing must not look like one that passed.
  if (checks.length === 0) failed++;
  console.log(`${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
  over = true;

  // No process.exit() here: ending by itself is what the last check is about.
  const watchdog = setTimeout(() => {
    const alive = process.getActiveResourcesInfo?.().join(", ");
    console.error(
      `FAILED  still running ${GRACE} ms after the last check${alive ? `: ${alive}` : ""}`,
    );
    process.exit(1);
  }, GRACE);
  // On Deno before 2.8 a timer is a number.
  if (typeof watchdog === "number") (globalThis as unknown as Unref).Deno.unrefTimer(watchdog);
  else (watchdog as { unref(): void }).unref();
}

interface Unref {
  Deno: { unrefTimer(id: number): void };
}

/** Returns what went wrong, if anything did. */
async function attempt(fn: () => unknown, timeout: number): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Not done within ${timeout} ms`)), timeout);
  });
  try {
    await Promise.race([Promise.resolve().then(fn), late]);
    await new Promise((resolve) => setTimeout(resolve, 0)); // unhandled rejections are told after a turn
  } catch (error) {
    return describe(error);
  } finally {
    clearTimeout(timer);
  }
  const left = stray.splice(0);
  if (left.length > 0) return `Nobody handled:\n${left.map(describe).join("\n")}`;
}

function describe(error: unknown): string {
  const text = error instanceof Error ? error.stack ?? String(error) : String(error);
  return text.replace(/^/gm, "        ");
}
