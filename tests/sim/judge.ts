/**
 * Holds the venue's log against what the caller was told.
 *
 * @module
 */

import type { FeedName } from "./history.ts";
import { excessOf, type Start } from "./limits.ts";
import type { Subscriber } from "./subscriber.ts";
import { DOUBT, type Told } from "./trader.ts";
import { COSTS, type Sent } from "./wire.ts";
import type { World } from "./world.ts";

/**
 * Judges a history that has come to its end.
 *
 * @param world Where it was played; what is wrong is told to its witness.
 */
export function judge(world: World): void {
  judgeOrders(world);
  judgeLimits(world);
  judgeQuestions(world);
  for (const user of Object.values(world.feeds)) judgeDelivery(world, user);
}

/** Judges the fates of orders and cancels. */
function judgeOrders({ book, wire, trader, witness, setting, closingAt }: World): void {
  const requests = Map.groupBy(book.executions, ({ id }) => id);
  const sent = Map.groupBy(wire.sent, ({ tag }) => tag);
  for (const told of trader.told) {
    const { id, what, verdict } = told;
    if (!verdict) {
      witness.fault(`${id} has never been settled`);
      continue;
    }
    if (what === "read" && told.begunAt < closingAt && told.at! > closingAt) {
      witness.fault(`${id} is settled ${told.at! - closingAt} ms after close()`);
    }
    if (what === "read" || what === "other") continue;
    const executions = new Set(requests.get(id)?.map(({ request }) => request)).size;
    const tries = sent.get(id) ?? [];
    // A 401 that was made for another request has the session send this one again.
    const isDeceived = tries.some(({ isLie }) => isLie);
    if (executions > 1 && !isDeceived && what !== "amendment") {
      witness.fault(`${id} was executed by ${executions} requests`);
    }
    const isSocket = what === "order over the socket";
    const wrong = verdict === "unknown"
      ? wrongDoubt(told, isSocket ? undefined : tries, setting, closingAt)
      : wrongVerdict(told, executions, tries, book.heard.has(id));
    if (wrong) witness.fault(`${id} is told to be ${verdict}: ${wrong}`);
  }
}

/** What is wrong with a verdict that says something. */
function wrongVerdict(
  { verdict, isReconciled, looks }: Told,
  executions: number,
  tries: readonly Sent[],
  isHeard: boolean,
): string | undefined {
  if (verdict === "error") return "an error that tells no fate";
  if (verdict === "resolved") return executions === 0 ? "it was never executed" : undefined;
  if (verdict === "absent" && !isReconciled) return "nobody has asked";
  if (verdict !== "absent" && looks.length > 0) return "it was looked up since";
  // An answer that was made for another request is a lie that no session can see through.
  if (executions > 0 && !tries.some(({ isLie }) => isLie)) return "it was executed";
  // The outcome is that of the last request: an earlier one may have been refused.
  const isRefused = tries.some(({ status = 0 }) => status >= 400 && status < 500);
  if (verdict === "not-sent" && isHeard && !isRefused) return "it reached the venue";
  return undefined;
}

/** What is wrong with a verdict that the fate is unknown. */
function wrongDoubt(
  { what, isAborted, isReconciled, looks, error, at }: Told,
  tries: readonly Sent[] | undefined,
  { horizon, patience, late, closeTimeout }: World["setting"],
  closingAt: number,
): string | undefined {
  if (tries?.length === 0) return "no request was ever made";
  const { status = 0, kind } = error!;
  const isRefused = status >= 400 && status < 500 && status !== 408 && error!.message !== DOUBT;
  if (isRefused && what !== "amendment" && tries?.every((sent) => sent.status !== undefined)) {
    return `it met ${status}`;
  }
  if (isAborted || kind === "aborted") return undefined;
  if (kind === "closed" && tries && what !== "amendment") {
    const isEarly = at! - closingAt < closeTimeout - 2;
    return isEarly ? `close() gave it ${at! - closingAt} ms of ${closeTimeout}` : undefined;
  }
  if (!isReconciled) return undefined;
  if (looks.length === 0) return "nobody has asked";
  const first = looks[0].began;
  if (looks.some(({ found }) => found)) return "a look-up has found it";
  const decisive = looks.find(({ began, found }) => found === false && began - first >= horizon);
  if (decisive) return `a look-up at ${decisive.began} has told that it is absent`;
  // The end of the request came a moment before the first look-up.
  return at! - first < patience - 3 * late - 20 ? "the time was not over" : undefined;
}

/** Judges that no question outlives the connection that it was asked over. */
function judgeQuestions({ trader, losses, setting, witness, hasReplaced }: World): void {
  if (setting.feed.maxLifetime > 0 || hasReplaced) return; // an older connection may answer
  for (const { id, what, begunAt, looks, at } of trader.told) {
    if (what !== "order over the socket") continue;
    const end = Math.min(looks[0]?.began ?? Infinity, at ?? Infinity);
    const loss = losses.find((loss) => loss > begunAt);
    if (loss !== undefined && end > loss + 2_500 + witness.suspended) {
      witness.fault(`${id} has outlived its connection by ${end - loss} ms`);
    }
  }
}

/** Judges that no window is above a limit. */
function judgeLimits(world: World): void {
  const { setting: { shared, orders, pace, dials }, wire: { sent }, witness } = world;
  const hold = (what: string, starts: Start[], limit: Parameters<typeof excessOf>[1]) => {
    const excess = excessOf(starts, limit);
    if (excess) witness.fault(`the limit of ${what} is exceeded: ${excess}`);
  };
  const costing = (index: 0 | 1, of: readonly Sent[], at: (sent: Sent) => number) =>
    of.map((one) => ({ at: at(one), cost: COSTS[one.route][index] }));
  for (const limit of shared) {
    hold("all requests", costing(0, sent, ({ at }) => at), limit);
    if (limit.refill === "after-finish") {
      const answered = sent.filter(({ status, arrivedAt }) => status && arrivedAt !== undefined);
      hold("requests at the venue", costing(0, answered, ({ arrivedAt }) => arrivedAt!), limit);
    }
  }
  // After a suspension, much happens at one moment that has nothing to do with one another.
  const isSuspended = witness.suspended > 0;
  // A call of one throttler that takes a token and sends nothing keeps others waiting.
  const alone = sent.filter(({ route }) => COSTS[route][1] === 0).length;
  if (world.shared.starts !== alone && !isSuspended) {
    witness.fault(`${world.shared.starts} calls took tokens, and ${alone} were sent`);
  }
  for (const { number, route, at } of sent) {
    const isLate = world.trader.failedLogins.some((one) => one.at === at && number > one.sent);
    if (isLate && route.endsWith("orders") && !isSuspended) {
      witness.fault(`#${number} goes on though the login has failed`);
    }
  }
  const open = sent.find(({ status, signal }) => status !== 200 && !signal?.aborted);
  if (open) witness.fault(`#${open.number} has failed, and was not ended`);
  const plain = (times: number[]) => times.map((at) => ({ at, cost: 1 }));
  hold("orders", [...costing(1, sent, ({ at }) => at), ...plain(world.owned)], orders);
  if (pace) hold("frames", plain(world.written), pace);
  if (dials) hold("dials", plain(world.dialled), dials);
  judgePauses(sent, witness);
}

/** Judges that nothing is sent while the venue asks to wait. */
function judgePauses(sent: readonly Sent[], witness: World["witness"]): void {
  for (const { answeredAt, wait, number } of sent) {
    if (answeredAt === undefined || wait === 0) continue;
    const early = sent.find(({ at }) => at > answeredAt + 1e-6 && at < answeredAt + wait - 1e-6);
    if (early) witness.fault(`#${early.number} does not wait as the answer to #${number} asks`);
  }
}

/** Judges what a feed has delivered. */
function judgeDelivery(world: World, user: Subscriber): void {
  const { witness, setting: { fills } } = world;
  const { name, items, streamed, ended, isStreamOver, isConnectSettled } = user;
  if (!ended) witness.fault(`${name} is not closed`);
  if (!isStreamOver) witness.fault(`a stream of ${name} has not ended`);
  if (!isConnectSettled) witness.fault(`connect() of ${name} has not settled`);
  const delivered = Map.groupBy(items, ({ symbol, seq }) => `${symbol} ${seq}`);
  if (JSON.stringify(items) !== JSON.stringify(streamed)) {
    witness.fault(`${name} has streamed ${streamed.length} items, and told ${items.length}`);
  }
  const log = new Set(world.market.log.map(({ symbol, seq }) => `${symbol} ${seq}`));
  for (const [item, times] of delivered) {
    if (!log.has(item)) witness.fault(`${name} has delivered ${item}, which was never made`);
    const isMoved = name === "sharded" && (user.times.get(times[0].symbol) ?? 0) > 1;
    if (fills && times.length > 1 && !isMoved) {
      witness.fault(`${name} has delivered ${item} ${times.length} times`);
    }
  }
  if (fills && world.isInOrder) judgeOrder(world, user);
  judgeDebts(world, user, new Set(delivered.keys()));
}

/** Judges that the items of each subscription come in the order of the venue. */
function judgeOrder({ witness, debts }: World, { name, items, lost, times }: Subscriber): void {
  const latest = new Map<string, number>();
  // A backfill may bring items of before the subscription, too.
  const owed = new Set(
    debts.filter(({ feed }) => feed === name).map(({ symbol, seq }) => `${symbol} ${seq}`),
  );
  for (const { symbol, seq } of items.filter(({ symbol, seq }) => owed.has(`${symbol} ${seq}`))) {
    const before = latest.get(symbol) ?? 0;
    const isMoved = name === "sharded" && (times.get(symbol) ?? 0) > 1;
    // An item that was told as missing may come late, with a later backfill.
    if (seq < before && lost.length === 0 && !isMoved) {
      witness.fault(`${name} delivers ${symbol} ${seq} after ${before}`);
    }
    latest.set(symbol, Math.max(seq, before));
  }
}

/** Judges that what was not delivered stands in a gap that was told. */
function judgeDebts({ debts, witness }: World, user: Subscriber, delivered: Set<string>): void {
  const slack = 4_000;
  for (const { feed, symbol, seq, at, madeAt } of debts) {
    if (feed !== user.name || delivered.has(`${symbol} ${seq}`)) continue;
    // On its way when the user closed the feed, or a silence that the feed had not noticed.
    if (madeAt > user.closingAt - 18_000 - witness.suspended) continue;
    if (!user.feed.subscriptions.has(symbol)) continue; // the venue has refused it since
    const isTold = user.lost.some(({ since, until }) => at >= since - slack && at <= until + slack);
    if (!isTold) witness.fault(`${feed} has lost ${symbol} ${seq} of ${at} without a word`);
  }
}

/** What the venue holds for a feed that it should not hold, or the reverse. */
export function wrongHolding({ market }: World, { name, feed, ended }: Subscriber): string[] {
  if (ended) return [];
  const wanted = new Set(feed.subscriptions.keys());
  const clients = market.clientsOf(name as FeedName);
  const held = clients.flatMap((client) => [...client.held]);
  const isEmpty = name === "sharded" && wanted.size > 0 &&
    clients.some(({ held, frames }) => held.size === 0 && frames.length > 0);
  return [
    ...(isEmpty ? ["a shard without subscriptions is still connected"] : []),
    ...[...wanted].filter((symbol) => !held.includes(symbol as string)).map((symbol) =>
      `the venue does not hold ${symbol} for ${name}`
    ),
    ...held.filter((symbol) => !wanted.has(symbol)).map((symbol) =>
      `the venue holds ${symbol} for ${name}, which is not wanted`
    ),
    ...held.filter((symbol, i) => held.indexOf(symbol) < i).map((symbol) =>
      `the venue holds ${symbol} for ${name} twice`
    ),
  ];
}
