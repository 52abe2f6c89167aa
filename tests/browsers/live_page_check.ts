/**
 * Opens the live page of the demo in Chromium, as `deno task demo --web` shows it, through the faults
 * of a short demo, and ends it with Ctrl-C. `SCREENSHOT=docs/live.png` keeps a picture.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { launchChromium } from "./launch.ts";

const DEMO = new URL("../../examples/demo.ts", import.meta.url).pathname;

Deno.test("the live page shows orders, limits, books and faults, without an error, until Ctrl-C", async () => {
  const demo = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", DEMO, "kraken", "--web", "--seconds=12"],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = demo.stdout.pipeThrough(new TextDecoderStream()).values();
  let said = "";
  while (!/http:\S+/.test(said)) {
    const { done, value } = await lines.next();
    assert(!done, `the demo ended: ${said}`);
    said += value;
  }
  const rest = (async () => {
    for await (const more of lines) said += more;
  })();
  const browser = await launchChromium();
  try {
    const page = await browser.newPage({ viewport: { width: 1_200, height: 1_000 } });
    const errors: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(message.text());
    });
    page.on("pageerror", (error) => errors.push(error.message));
    const [url] = /http:\S+/.exec(said)!;
    await page.goto(url);
    await page.waitForSelector("#state.live");
    await page.waitForSelector("#books table:nth-of-type(3) .bid");
    await page.waitForSelector("#faults li.good");
    await page.waitForSelector("#orders li.good");
    await page.waitForSelector("#limits meter");
    await page.waitForSelector("#figures li", { timeout: 60_000 });
    const shot = Deno.env.get("SCREENSHOT");
    if (shot) await page.screenshot({ path: shot, fullPage: true });
    assertEquals(await page.locator("#figures li.bad").allTextContents(), []);
    assert(await page.locator("#time svg .live").count() > 1, "live again after a fault");
    assertEquals(errors, []);
  } finally {
    await browser.close();
    demo.kill("SIGINT");
    const { code } = await demo.status;
    await rest;
    assertEquals(code, 0, said);
  }
  assertMatch(said, /faults survived/);
});
