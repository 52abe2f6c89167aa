/**
 * Ways to break the delivery of a feed to the readers.
 *
 * @module
 */

import { breaking, type Room } from "./mutant.ts";

const feeder = breaking("feeder.ts");
const stream = breaking("feeder/item_stream.ts");
const queue = breaking("feeder/queue.ts");
const feedError = breaking("feeder/feed_error.ts");

/** The mutants of `feeder.ts` and its cupboards. */
export const room: Room = {
  tests: ["tests/feeder_test.ts", "tests/feeder/"],
  mutants: [
    // Listeners
    feeder("a listener is removed from others too", [
      "(other) => other !== entry",
      "(other) => other.listener !== entry.listener",
    ]),
    feeder("a removed listener hears the event that is being told", ["entry.removed = true;", ""]),
    feeder("a listener added within an event hears that event", [
      "this.#setListeners(type, [...this.#listeners[type], entry]);",
      "this.#listeners[type].push(entry);",
    ]),
    feeder("a listener that throws silences the others", [
      "    } catch (error) {\n      this.#failed(type, error);",
      "    } catch (error) {\n      this.#failed(type, error);\n      throw error;",
    ]),
    feeder("a listener whose promise rejects is not reported", [
      "if (result instanceof Promise) result.catch((error) => this.#failed(type, error));",
      "if (result instanceof Promise) result.catch(() => {});",
    ]),
    feeder("a listener of error that throws is told to error", [
      'if (type === "error") throwLater(cause);',
      "if (false) throwLater(cause);",
    ]),
    feeder("an error that nobody hears is lost", [
      'if (type === "error" && listeners.length === 0) throwLater(event);',
      "",
    ]),
    feeder("an error that somebody hears is thrown too", [
      'if (type === "error" && listeners.length === 0)',
      'if (type === "error")',
    ]),
    feeder("an event of Object.prototype can be listened to", [
      'checkChoice("Cannot listen", "type", type, Object.keys(this.#listeners));',
      'if (!(type in this.#listeners)) refuse("Cannot listen", "type", type, "an event");',
    ]),
    feeder("a listener may be anything", ['if (typeof listener !== "function") {', "if (false) {"]),

    // Streams of a feed
    feeder("a stream that was left is still given items", [
      "this.#streams = this.#streams.filter((other) => other !== stream);",
      "",
    ]),
    feeder("a stream of a feed that has ended waits for ever", [
      "if (this.#ended) stream.end(this.#ended.error);\n    else this",
      "this",
    ]),
    feeder("a stream opened later does not throw what ended the feed", [
      "stream.end(this.#ended.error)",
      "stream.end()",
    ]),
    feeder("a key that throws keeps the item from the others", [
      '        this.dispatch("error", new FeedError("Cannot queue the item: key() threw", { cause }));',
      '        this.dispatch("error", new FeedError("Cannot queue the item: key() threw", { cause }));\n        return;',
    ]),
    feeder("a feed that has ended delivers", [
      "    if (this.#ended) return;\n    const { item",
      "    const { item",
    ]),
    feeder("the second end counts", [
      "    if (this.#ended) return;\n    this.#ended",
      "    this.#ended",
    ]),
    feeder("listeners of error are not told what ended the feed", [
      'if (error && this.hasListener("error")) this.dispatch("error", error);',
      "",
    ]),
    feeder("the error that ended the feed is thrown though nobody listens", [
      'if (error && this.hasListener("error"))',
      "if (error)",
    ]),
    feeder("await using leaves streams open that close() forgot", [
      "    await this.close();\n    this.end();",
      "    await this.close();",
    ]),
    feeder("await using does not close", [
      "    await this.close();\n    this.end();",
      "    this.end();",
    ]),

    // One stream
    stream("the default capacity is one less", ["capacity = 16_384", "capacity = 16_383"]),
    stream("the queue holds one more", [
      "this.#queue.size < this.#capacity",
      "this.#queue.size <= this.#capacity",
    ]),
    stream("drop-oldest drops the newest", [
      'if (this.#overflow === "drop-oldest") {',
      "if (this.#overflow === undefined) {",
    ]),
    stream("dropped forgets what a key replaced", [
      "if (this.#queue.replace(key, item)) this.#dropped++;",
      "if (this.#queue.replace(key, item));",
    ]),
    stream("dropped forgets what found the queue full", [
      "    this.#dropped++;\n    if (this",
      "    if (this",
    ]),
    stream("a key is asked for though a reader waits", [
      "    const reader = this.#reader;\n",
      "    const key = this.#key?.(item);\n    const reader = this.#reader;\n",
    ], ["    const key = this.#key?.(item);\n    if", "    if"]),
    stream("the last reader is answered first", [
      "this.#readers.shift() : undefined",
      "this.#readers.pop() : undefined",
    ]),
    stream("only the first of the readers hears of the end", [
      "    for (const reader of this.#readers.splice(0)) reader(this.#last());\n",
      "",
    ]),
    stream("the error is thrown again and again", ["    this.#ended = {};\n", ""]),
    stream("a stream that ended does not say so", [
      "    if (this.#ended) return this.#last();\n",
      "",
    ]),
    stream("a stream that is left stays attached", [
      "    this.#detach();\n    this.#queue.clear();",
      "    this.#queue.clear();",
    ]),
    stream("a stream that is left keeps its items", ["    this.#queue.clear();\n", ""]),
    stream("a stream that is left lets its readers wait", [
      "    this.#queue.clear();\n    this.end();",
      "    this.#queue.clear();\n    this.#ended = {};",
    ]),
    stream("await using does not leave the stream", ["await this.return();", ""]),
    stream("a stream that ended by overflow stays attached", [
      "      this.#detach();\n      const state",
      "      const state",
    ]),
    stream("overflow error does not end the stream", [
      "      this.end(new FeedError(",
      "      void (new FeedError(",
    ]),
    stream("overflow may be anything", [
      'checkChoice(task, "overflow", overflow, OVERFLOWS)',
      "overflow",
    ]),
    stream("key may be anything", ['    checkFunction(task, "key", key);\n', ""]),
    stream("a capacity of 0 is let in", ["{ min: 1, integer: true }", "{ integer: true }"]),
    stream("a fraction of a capacity is let in", ["{ min: 1, integer: true }", "{ min: 1 }"]),

    // The queues
    queue("a keyed queue grows slower with its size", [
      "    const { key, item } = this.#order.shift();\n    this.#entries.delete(key);\n    return item;",
      "    const [[key, { item }]] = this.#entries;\n    this.#entries.delete(key);\n    return item;",
    ]),
    queue("a key that was read is still known", ["    this.#entries.delete(key);\n", ""]),
    queue("KeyedQueue.clear() forgets to forget the keys", ["    this.#entries.clear();\n", ""]),
    queue("KeyedQueue.clear() forgets to forget the items", ["    this.#order.clear();\n", ""]),
    queue("a replaced item goes to the end", [
      "    entry.item = item;\n    return true;",
      "    this.#entries.delete(key);\n    this.push(key, item);\n    return true;",
    ]),
    queue("an undefined key is no key", [
      "    const entry = this.#entries.get(key);",
      "    const entry = key === undefined ? undefined : this.#entries.get(key);",
    ]),
    queue("Fifo.clear() keeps what is new", [
      "  clear(): void {\n    this.#incoming = [];\n",
      "  clear(): void {\n",
    ]),
    queue("Fifo.clear() keeps what is being read", [
      "    this.#outgoing = [];\n    this.#head = 0;\n  }",
      "  }",
    ]),

    // The error
    feedError("an error is fatal unless told otherwise", [
      "options.fatal ?? false",
      "options.fatal ?? true",
    ]),
    feedError("a fatal error is worth another attempt", ["return !this.fatal;", "return true;"]),
    feedError("the uptime is lost", ["options.uptime ?? 0", "0"]),
    feedError("the ending is lost", ["    this.ending = options.ending;\n", ""]),
    feedError("the cause is lost", [
      "options.cause === undefined ? undefined : { cause: options.cause }",
      "undefined",
    ]),
    feedError("there is a cause where there is none", [
      "options.cause === undefined ? undefined : { cause: options.cause }",
      "{ cause: options.cause }",
    ]),
  ],
};
