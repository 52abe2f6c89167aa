/**
 * Ways to break what a feed promises about gaps, quiet subscriptions and many sockets.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const delivery = breaking("websocket_feeder/delivery.ts");
const feeder = breaking("websocket_feeder.ts");
const handover = breaking("websocket_feeder/handover.ts");
const memory = breaking("websocket_feeder/memory.ts");
const quiet = breaking("websocket_feeder/quiet.ts");
const recovery = breaking("websocket_feeder/recovery.ts");
const sharded = breaking("sharded_feeder.ts");

/** The mutants of the rooms that a gap passes through, and of the sharded feeder. */
export const room: Room = {
  tests: [
    "tests/websocket_feeder_gap_test.ts",
    "tests/websocket_feeder/delivery_test.ts",
    "tests/websocket_feeder/handover_test.ts",
    "tests/websocket_feeder/replacement_test.ts",
    "tests/sharded_feeder_test.ts",
  ],
  mutants: [
    // Gaps
    feeder("a gap ends before a venue that confirms nothing has begun", [
      "else connection.after(overlap, fill);",
      "else fill();",
    ]),
    feeder("a gap of a venue that has confirmed all ends late", [
      "if (confirmTimeout > 0) fill();\n    else connection",
      "connection",
    ]),
    recovery("a gap that is open does not grow", [
      "Math.min(since, this.#since ?? Infinity)",
      "since",
    ]),
    recovery("a backfill goes on after another loss", [
      "    this.#stop();\n    this.#settle();",
      "    this.#settle();",
    ]),
    recovery("the answer of an older backfill counts", [
      "if (this.#filling !== filling) return;",
      "",
    ]),
    recovery("live items do not wait for the backfill", [
      "if (this.#since !== undefined && this.#host.backfill) this.#held",
      "if (false) this.#held",
    ]),
    recovery("live items wait though nothing can fill the gap", [
      "if (this.#since !== undefined && this.#host.backfill) this.#held",
      "if (this.#since !== undefined) this.#held",
    ]),
    recovery("items wait without a bound", [
      "this.#items.length - this.#head <= CAPACITY",
      "true",
    ]),
    recovery("dropped items are not told", [
      "if (held.dropped) this.#host.tell({ ...held.dropped, filled: false });",
      "",
    ]),
    recovery("only the latest dropped item is told", ["this.dropped?.since ?? until", "until"]),
    recovery("a backfill is waited for without end", ["filling.abort(), Math", "{}, Math"]),
    recovery("a backfill that throws is not asked again", [
      "shouldRetry: () => true",
      "shouldRetry: () => false",
    ]),
    recovery("the waits between attempts do not grow", ["maxWait: Infinity", "maxWait: 500"]),
    recovery("the cause is not told", ["onRetry: ({ error }) => cause = error,", ""]),
    recovery("a gap that is open is not told when the feed ends", [
      "    if (this.#since !== undefined) {\n      this.#close(",
      "    if (false) {\n      this.#close(",
    ]),
    recovery("items that waited are delivered after the end", [
      "    this.#held = this.#doubted = undefined;\n",
      "",
    ]),
    recovery("an item overtakes those that waited", [
      "    for (let next; (next = held.shift());) this",
      "    this.#held = undefined;\n    for (let next; (next = held.shift());) this",
    ]),
    recovery("items wait for ever", ["    this.#isReleasing = false;\n", ""]),
    recovery("items in doubt do not wait", [
      "this.#doubted ??= new Held();",
      ";",
    ]),
    recovery("items in doubt are delivered before the gap is filled", [
      "if (this.#since === undefined || this.#isPart) this.#release();",
      "this.#release();",
    ]),
    recovery("items in doubt are not delivered once the doubt ends", [
      "if (this.#since === undefined || this.#isPart) this.#release();",
      "",
    ]),
    recovery("items in doubt wait for the gap behind a part", [
      "this.#since === undefined || this.#isPart",
      "this.#since === undefined",
    ]),
    recovery("no gap begins behind a part", [
      "this.#since = isPart ? event.until : undefined;",
      "this.#since = undefined;",
    ]),
    feeder("a subscription without a confirmation holds back all others", [
      "      void this.#fillPart(connection);\n",
      "",
    ]),
    delivery("items of the old connection wait until the new one has asked for everything", [
      "else this.recovery.trust();",
      "else if (this.#handover?.isHeard ?? true) this.recovery.trust();",
    ]),
    recovery("items in doubt are lost with the connection", [
      "for (let next; (next = doubted.shift());) held.push(next.item, next.at);",
      "",
    ]),
    recovery("dropped items in doubt are not told", [
      "    const { dropped } = doubted;\n",
      "    const dropped = false as never as Gap | undefined;\n",
    ]),

    // Which items are new
    memory("nothing is ever forgotten", [
      "if (this.#order.length === this.#size) this",
      "if (false) this",
    ]),
    memory("the latest id is forgotten first", ["(this.#next + 1) % this.#size", "0"]),
    memory("an id is always new", ["if (first !== undefined) return first;", ""]),
    delivery("an item of a backfill that was delivered before comes twice", [
      "this.#isNew(item, undefined) && host",
      "host",
    ]),
    delivery("the doubt does not end when the old connection is heard", [
      "else this.recovery.trust();",
      "",
    ]),
    delivery("there is no doubt", [
      "if (this.#handover?.isDoubtful(connection)) this.recovery.doubt();\n      else ",
      "",
    ]),
    delivery("the doubt ends with a replacement that has failed", [
      "if (this.#handover?.isHeard) this.recovery.trust();",
      "this.recovery.trust();",
    ]),
    handover("a connection that fell silent before the new one asked was heard", [
      "this.#old.frames > this.#framesBefore",
      "this.#old.frames > 0",
    ]),
    handover("an old connection is doubted", [
      "attempt > this.#old.attempt && !this.isHeard",
      "!this.isHeard",
    ]),
    handover("one connection that repeats itself is a proof", [
      "if (first === undefined || first === attempt) return;",
      "if (first === undefined) return;",
    ]),
    handover("no proof is waited for", [
      "const isProven = this.#met || !this.#isNumbered;",
      "const isProven = true;",
    ]),
    handover("the new connection need not deliver", ["if (next.news > before && (", "if (("]),
    handover("the proof is waited for without end", ["(isProven || isLate())", "isProven"]),
    handover("a silent new connection is kept", [
      'if (isLate()) next.end({ reason: "silent while the old one was not" });',
      "",
    ]),
    handover("a quiet market keeps the old connection", [
      "|| old.news === heard) return;",
      ") return;",
    ]),

    // Quiet subscriptions
    quiet("a subscription is quiet too early", [
      "group.ticks - watched.heard <= TICKS",
      "group.ticks - watched.heard < TICKS",
    ]),
    quiet("a quiet subscription is found late", ["const TICKS = 8;", "const TICKS = 2;"]),
    quiet("a quiet subscription is told again and again", ["watched.factor * 2, MOST", "1, MOST"]),
    quiet("the waits grow for ever", ["Math.min(watched.factor * 2, MOST)", "watched.factor * 2"]),
    quiet("an item does not end the quiet", [
      "    watched.heard = watched.group.ticks;\n    watched.factor = 1;",
      "    watched.factor = 1;",
    ]),
    quiet("an item does not start the waits anew", ["    watched.factor = 1;\n", ""]),
    quiet("asking again starts the waits anew", [
      "this.#watched.get(key) ?? { factor: 1 };",
      "{ factor: 1 };",
    ]),
    quiet("the time without a connection counts", [
      "for (const watched of this.#watched.values()) watched.heard = watched.group.ticks;",
      "",
    ]),
    quiet("a feed that is not live counts on", [
      "      clearInterval(group.timer);\n      group.timer = undefined;",
      "",
    ]),
    quiet("a timer is left", [
      "    clearInterval(group.timer);\n    this.#groups",
      "    this.#groups",
    ]),
    quiet("0 and Infinity are watched", [
      "if (!(quietAfter > 0 && quietAfter < Infinity)) return;",
      "",
    ]),

    // Many sockets
    sharded("a shard holds one too many", ["while (room[next] <= 0)", "while (room[next] < 0)"]),
    sharded("one shard too many", ["next >= this.#maxShards", "next > this.#maxShards"]),
    sharded("a subscription moves", [
      "home ? indices.get(home) : placed.get(key)",
      "placed.get(key)",
    ]),
    sharded("a subscription that was refused keeps its place", [
      "return shard?.subscriptions.has(key) ? shard : undefined;",
      "return shard;",
    ]),
    sharded("the fatal ending of a shard ends nothing else", [
      "if (this.#shards.includes(shard)) void this.#finish(error, closedError());",
      "",
    ]),
    sharded("an error that ends the feed is told twice", [
      'if (shard.state !== "closed") this',
      "this",
    ]),
    sharded("an empty shard stays", [
      "if (shares.size > 0) queueMicrotask(() => this.#prune());",
      "",
    ]),
    sharded("the only shard closes", ["full.length > 0 ? full : this.#shards.slice(0, 1)", "full"]),
    sharded("a shard that is empty within a turn closes", [
      "if (shares.size > 0) queueMicrotask(() => this.#prune())",
      "if (shares.size > 0) this.#prune()",
    ]),
    sharded("a shard stays whose last subscription was refused", [
      "if (shard.subscriptions.size === 0) queueMicrotask(() => this.#prune());",
      "",
    ]),
    sharded("the counts of a closed shard are lost", [
      "Object.assign(this.#past, add(this.#past, shard.stats));",
      "",
    ]),
    sharded("a shard that is added later does not connect", [
      "if (this.#connected) shard.connect().catch(() => {});",
      "",
    ]),
    sharded("connections are counted by shard", [", connection: this.stats.connections }", " }"]),
    sharded("a feed may be two shards", [
      'shard.state === "idle" && !this.#shards.includes(shard)',
      "true",
    ]),
    sharded("the signal closes nothing", [
      'else signal?.addEventListener("abort", close);',
      "",
    ]),
    sharded("a feed is live while a shard connects", [
      'states.has("connecting") ? "connecting" : "live"',
      '"live"',
    ]),
  ],
};
