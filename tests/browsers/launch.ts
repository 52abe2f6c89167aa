/**
 * Starts the browsers of Debian: chromium, driven by playwright-core, and firefox-esr, driven by
 * puppeteer-core, because playwright drives no Firefox but its own. `CHROMIUM` and `FIREFOX` name
 * other programs.
 *
 * @module
 */

import { type Browser as Chromium, chromium } from "npm:playwright-core@1.65.1";
import * as puppeteer from "npm:puppeteer-core@25.16.0";

/** A browser that runs functions in its pages. */
export interface Browser extends AsyncDisposable {
  /**
   * Opens a page.
   *
   * @param url The address.
   * @param script A script that runs before those of the page.
   */
  open(url: string, script?: string): Promise<Tab>;
}

/** A page. */
export interface Tab {
  /** Runs a function in the page, which knows nothing but its argument. */
  evaluate<R, A>(fn: (arg: A) => R, arg?: A): Promise<Awaited<R>>;
}

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

/** Starts Chromium, or says how to get it. */
export async function launchChromium(): Promise<Chromium> {
  const executablePath = Deno.env.get("CHROMIUM") ?? "/usr/bin/chromium";
  try {
    return await chromium.launch({ executablePath, args: FLAGS });
  } catch (cause) {
    const install = "install Debian's package chromium, or name another one in CHROMIUM";
    throw new Error(`Cannot run the checks of the browser: ${install}`, { cause });
  }
}

/** The browsers that are here, by name. Chromium must be here, Firefox need not. */
export function browsers(): Map<string, () => Promise<Browser>> {
  const found = new Map([["Chromium", openChromium]]);
  const firefox = Deno.env.get("FIREFOX") ?? "/usr/bin/firefox-esr";
  try {
    Deno.statSync(firefox);
    found.set("Firefox", () => openFirefox(firefox));
  } catch {
    console.log("Firefox is not here, left out: Debian's package is firefox-esr");
  }
  return found;
}

async function openChromium(): Promise<Browser> {
  const browser = await launchChromium();
  return {
    async open(url, script) {
      const page = await browser.newPage();
      if (script) await page.addInitScript(script);
      await page.goto(url);
      return { evaluate: (fn, arg) => page.evaluate(fn as never, arg as never) };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

async function openFirefox(executablePath: string): Promise<Browser> {
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
  return {
    async open(url, script) {
      const page = await browser.newPage();
      if (script) await page.evaluateOnNewDocument(script);
      await page.goto(url);
      return { evaluate: (fn, arg) => page.evaluate(fn as never, arg as never) };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}
