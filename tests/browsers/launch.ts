/**
 * Starts Chromium: Debian's (`apt-get install chromium`), or the program that `CHROMIUM` names,
 * driven by playwright-core from npm.
 *
 * @module
 */

import { type Browser, chromium } from "npm:playwright-core@1.65.1";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts the browser, or says how to get it. */
export async function launch(): Promise<Browser> {
  const executablePath = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";
  try {
    return await chromium.launch({ executablePath, args: FLAGS });
  } catch (cause) {
    const install = "install Debian's package chromium, or name another one in CHROMIUM";
    throw new Error(`Cannot run the checks of the browser: ${install}`, { cause });
  }
}
