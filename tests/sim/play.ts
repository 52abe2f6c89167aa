/**
 * Plays a history from its beginning to its judgement.
 *
 * @module
 */

import { VirtualTime } from "../../testing.ts";
import { act, close } from "./deeds.ts";
import { Dice, hashOf } from "./dice.ts";
import { type History, SYMBOLS } from "./history.ts";
import { judge, wrongHolding } from "./judge.ts";
import { Witness } from "./witness.ts";
import { World } from "./world.ts";

/** Longest time in which a healed world comes to rest, in milliseconds. */
const REST = 300_000;
/** One step of that time, in milliseconds. */
const STEP = 5_000;
/** Time between two looks at that world, in milliseconds. */
const LOOK = 1_700;

/** The witness of the history that is played, for errors that come from nowhere. */
export interface Stray {
  witness: Witness | undefined;
}

/**
 * Plays a history.
 *
 * @param history The history.
 * @param stray Is given the witness while the history is played.
 * @returns What was seen, and what is wrong.
 */
export async function play(
  history: History,
  stray: Stray = { witness: undefined },
): Promise<Witness> {
  const { seed, setting: { late } } = history;
  const { random } = Math;
  const { stackTraceLimit } = Error;
  const dice = new Dice(seed, "chance");
  const witness = stray.witness = new Witness();
  // Not from one source of numbers: two timers that are set in the other order stay as they are.
  const timerError = () => {
    const chance = hashOf(`${performance.now()}`, seed) / 2 ** 32;
    // Half a microsecond early is as wrong as a millisecond, and harder to see.
    return chance < 0.05 ? -0.0005 : chance < 0.1 ? -9 * chance : chance * late;
  };
  const time = new VirtualTime({ timerError });
  Math.random = () => dice.next();
  Error.stackTraceLimit = 0;
  try {
    await live(new World(history, witness, time), history);
  } catch (error) {
    witness.fault(`the world broke: ${error}`);
  } finally {
    time.restore();
    Math.random = random;
    Error.stackTraceLimit = stackTraceLimit;
    stray.witness = undefined;
  }
  return witness;
}

async function live(world: World, { actions, setting }: History): Promise<void> {
  const { time, witness } = world;
  world.other(() => world.trader.authorize());
  for (const action of actions) {
    const wait = action.at + witness.suspended - performance.now();
    await time.pass(Math.max(0, wait)); // a suspension comes between two tasks, never within one
    act(world, action);
  }
  if (setting.isCalm) await rest(world);
  await end(world);
  judge(world);
}

/** Heals the venue, and waits until the world has come to rest. */
async function rest(world: World): Promise<void> {
  const { time, venue, market, trader, feeds, witness } = world;
  witness.note("> heal");
  venue.heal();
  market.heal();
  venue.up();
  const users = Object.values(feeds);
  const wrong = () => [
    ...users.flatMap((user) => wrongHolding(world, user)),
    ...users.flatMap(({ name, feed, ended }) =>
      ended || feed.state === "live" ? [] : [`${name} is ${feed.state}`]
    ),
    ...trader.told.filter(({ verdict }) => !verdict).map(({ id }) => `${id} is not settled`),
  ];
  await time.pass(STEP);
  // No part of the time between two replacements, in which the venue holds everything twice.
  for (let waited = 0; waited < REST && wrong().length > 0; waited += LOOK) await time.pass(LOOK);
  for (const words of wrong()) witness.fault(`after all is well, ${words}`);
  await time.pass(35_000); // gaps are filled, or given up, and late repairs are done
  await deliver(world);
}

/** Makes an item of each symbol, and sees that each feed delivers those that are wanted. */
async function deliver(world: World): Promise<void> {
  const { witness, setting: { fills } } = world;
  // Without a backfill, an item may be lost in a gap, which is told: once must go well.
  let wrong = await deliverOnce(world);
  for (let again = 0; again < 4 && !fills && wrong.length > 0; again++) {
    wrong = await deliverOnce(world);
  }
  for (const words of wrong) witness.fault(`after all is well, ${words}`);
}

async function deliverOnce(world: World): Promise<string[]> {
  const { time, feeds, setting: { fills } } = world;
  const isWhole = () => Object.values(feeds).every((user) => world.isWhole(user));
  for (let waited = 0; waited < 20 && !isWhole(); waited++) await time.pass(500);
  const users = Object.values(feeds).map((user) => ({ user, begin: user.items.length }));
  for (const symbol of SYMBOLS) world.make(symbol);
  const wrong = () =>
    users.filter(({ user: { ended } }) => !ended).flatMap(({ user, begin }) => {
      const { name, items, feed } = user;
      const all = items.slice(begin).map(({ symbol }) => symbol).sort();
      // Without `identify`, two connections may bring an item twice.
      const heard = (fills ? all : [...new Set(all)]).join(" ");
      const wanted = [...feed.subscriptions.keys()].sort().join(" ");
      return heard === wanted ? [] : [`${name} delivers ${heard}, wanted ${wanted}`];
    });
  await time.pass(STEP);
  // Where no gap can be filled, items wait until the feed has given it up.
  for (let waited = 0; waited < 35_000 && wrong().length > 0; waited += STEP) await time.pass(STEP);
  return wrong();
}

/** Closes everything, and sees that nothing is left. */
async function end(world: World): Promise<void> {
  const { time, venue, market, trader, witness, setting: { closeTimeout } } = world;
  witness.note("> close");
  const closing = ["single", "sharded", "broker", "data"] as const;
  let open = closing.length;
  for (const what of closing) void close(world, what).then(() => open--);
  for (let waited = 0; open > 0 && waited < closeTimeout + 5_000; waited += 500) {
    await time.pass(500 + world.setting.late);
  }
  if (open > 0) witness.fault(`${open} of ${closing.length} are not closed`);
  // The user's own calls wait in the user's own throttlers.
  const mayWait = ["order over the socket", "other"];
  const left = trader.told.filter(({ what, verdict }) => !verdict && !mayWait.includes(what));
  for (const { id } of left) witness.fault(`${id} is not settled though all is closed`);
  venue.heal();
  market.heal();
  market.close();
  world.stop();
  await time.pass(10_000 + 2 * world.setting.late); // the venue executes what is late
  const isDone = trader.told.every(({ verdict }) => verdict);
  if (isDone && time.timers > 0) witness.fault(`${time.timers} timers are left after close()`);
  await time.pass(130_000); // an order over the socket may still be looked up, in vain
  if (world.listeners > 0) witness.fault(`${world.listeners} listeners are left`);
  if (time.timers > 0) witness.fault(`${time.timers} timers are left`);
  world.end();
}
