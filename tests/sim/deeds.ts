/**
 * Does what a history says.
 *
 * @module
 */

import type { HttpFaultOptions } from "../../testing.ts";
import type { Action, Deed } from "./history.ts";
import { holds, itemIn } from "./market.ts";
import { DOUBT, KEYS } from "./trader.ts";
import type { World } from "./world.ts";

type Doing<K extends Deed["do"]> = (world: World, deed: Extract<Deed, { do: K }>) => void;

/** Does each deed. */
const DOINGS: { [K in Deed["do"]]: Doing<K> } = {
  place: (world, { how, isBad, abort }) => world.place(how === "reconcile", isBad, abort),
  cancel: (world, { nth, abort }) => world.cancel(nth, abort),
  amend: (world, { nth }) => world.amend(nth),
  ask: (world, { abort }) => world.ask(abort),
  read: (world, { times }) => {
    for (let i = 0; i < times; i++) world.read();
  },
  renew: (world) => world.other(() => world.trader.renewNow()),
  expire: (world) => world.book.expire(),
  sync: (world) => world.sync(),
  own: (world) => world.own(),
  replace: (world) => {
    world.hasReplaced = true;
    world.single.renew();
  },
  items: (world, { symbols }) => symbols.forEach((symbol) => world.make(symbol)),
  subscribe: (world, { feed, symbols }) => world.subscribe(feed, symbols),
  unsubscribe: (world, { feed, symbols }) => world.unsubscribe(feed, symbols),
  both: (world, { feed, symbols }) => {
    world.unsubscribe(feed, symbols);
    world.subscribe(feed, symbols);
  },
  repair: (world, { symbol }) => world.single.repair(symbol),
  reconnect: (world, { feed }) => world.feeds[feed].feed.reconnect("the user wants it"),
  close: (world, { what }) => void close(world, what),
  fail,
  "fail-frame": failFrame,
  drop: ({ venue }, { code }) => venue.feed.drop(code),
  reset: ({ venue }) => venue.feed.reset(),
  vanish: ({ venue }) => venue.feed.vanish(),
  silence: ({ venue }) => venue.feed.silence(),
  deaf: (world, { duration }) => {
    const { feed } = world.venue;
    feed.isDeaf = true;
    world.later(() => feed.isDeaf = false, duration);
  },
  "refuse-upgrade": ({ venue }, { status, times }) => venue.feed.refuse({ status, times }),
  "hang-upgrade": ({ venue }, { times }) => venue.feed.hang(times),
  // Without `quietAfter` no feed can know.
  forget: ({ market, setting }, { symbol }) => {
    if (setting.feed.quietAfter > 0) market.forget(symbol);
  },
  mute: (world, { symbol, duration }) => {
    world.market.mute(symbol);
    world.later(() => world.market.unmute(symbol), duration);
  },
  deny: ({ market }, { symbol, wait, times }) => market.deny(symbol, wait, times),
  down: (world, { duration }) => {
    world.venue.down();
    world.later(() => world.venue.up(), duration);
  },
  shift: ({ time }, { by }) => time.shift(by),
  suspend: ({ time, witness }, { duration }) => {
    time.suspend(duration);
    witness.suspended += duration;
  },
};

/**
 * Does one thing.
 *
 * @param world Where.
 * @param action What.
 */
export function act(world: World, action: Action): void {
  const { at: _, do: kind, ...details } = action;
  world.witness.note(`> ${kind} ${JSON.stringify(details)}`);
  world.witness.count(`deed ${kind}`);
  (DOINGS[kind] as Doing<typeof kind>)(world, action as never);
}

/** Closes one thing, and holds the time against the promise. */
export async function close(
  world: World,
  what: Extract<Deed, { do: "close" }>["what"],
): Promise<void> {
  const { witness, setting, trader, data, feeds } = world;
  const isFeed = what === "single" || what === "sharded";
  const closing = isFeed ? feeds[what].feed : what === "broker" ? trader : data.session;
  if (isFeed) feeds[what].closingAt = Math.min(performance.now(), feeds[what].closingAt);
  if (what === "broker") world.closingAt = Math.min(performance.now(), world.closingAt);
  const before = performance.now() - witness.suspended;
  await closing.close();
  const took = performance.now() - witness.suspended - before;
  // The options of the feeds leave `closeTimeout` at 2 s: once for answers, once for the close frame.
  const promised = isFeed ? 4_000 : setting.closeTimeout;
  const slack = 20 + 3 * setting.late;
  witness.note(`closed ${what} in ${took}`);
  if (took > promised + slack) witness.fault(`close() of ${what} took ${took} ms`);
}

function fail(world: World, deed: Extract<Deed, { do: "fail" }>): void {
  const { route, fault, nth, times, delay, status, wait, echo } = deed;
  world.hasSwaps ||= fault === "swapped-answers";
  // With any other fault, they would take the place of the book's answer.
  const hasAnswer = fault === "status" || fault === "status-after-executing";
  const options: HttpFaultOptions = {
    nth,
    times,
    status: hasAnswer ? status : undefined,
    // All are read once the fault strikes: for the request that has just come, and to be counted.
    get headers() {
      if (!hasAnswer) return undefined;
      const { tag } = world.wire.arrived;
      return { "x-for": tag, ...(wait !== undefined && { "retry-after": wait }) };
    },
    get delay() {
      world.witness.note(`fault ${fault}`);
      world.witness.count(`fault ${fault}`);
      return delay;
    },
    get body() {
      if (!hasAnswer || status === 200) return undefined;
      if (status === 403 && fault === "status-after-executing") return { error: DOUBT };
      // An answer that is swapped may go to a session that never sent the token or the password.
      if (world.hasSwaps) return echoOf(echo, "", "");
      return echoOf(echo, route, world.wire.arrived.token);
    },
  };
  world.venue.fail(route, fault, options);
}

/** A body that quotes a key in one of the ways in which venues do. */
function echoOf(echo: number, route: string, token: string): unknown {
  const { api } = KEYS;
  // Only what a request has sent is kept out of its errors.
  const { password } = route === "POST /login" ? KEYS : { password: "" };
  const hex = (text: string) => [...text].map((letter) => letter.charCodeAt(0).toString(16));
  const bodies: unknown[] = [
    { error: `bad key ${api}` },
    `<html>bad key ${hex(api).map((code) => `&#x${code};`).join("")}</html>`,
    `bad key ${encodeURIComponent(api)}`,
    `{"error":"bad key ${hex(api).map((code) => `\\u00${code}`).join("")}"}`,
    { error: `bad token ${token}`, token },
    { error: `bad password ${password}`, key: api.toLowerCase() },
  ];
  return bodies[echo] ?? { error: "no" };
}

function failFrame(world: World, deed: Extract<Deed, { do: "fail-frame" }>): void {
  const { match, fault, nth, delay } = deed;
  let left = nth;
  const isHit = (frame: Parameters<typeof holds>[0]) => {
    if (!holds(frame, match) || left === 0 || --left > 0) return false;
    // A connection that is replaced may be gone before such an item comes.
    if (fault === "delay" || fault === "swap") world.excuse(itemIn(frame));
    world.witness.note(`fault ${fault} ${match}`);
    world.witness.count(`frame ${fault}`);
    return true;
  };
  world.venue.feed.fail(isHit, fault, { times: Infinity, delay });
}
