import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { BrokerError } from "../../common/broker_error.ts";
import { FeedError } from "../../feeder.ts";
import { reconcile } from "../../reconcile.ts";
import type { FeedConnection } from "../../websocket_feeder.ts";
import { type Question, Questions } from "../../websocket_feeder/questions.ts";
import { fakeClock } from "../fake_clock.ts";
import { connected, Gate, over, pass, settle, TestFeed, tick } from "./fake_feed.ts";

/** A venue that answers `+7` to what was asked as 7, refuses with `-7`, and says the rest to everybody. */
class AskingFeed extends TestFeed {
  connection!: FeedConnection;
  protected override handshake(connection: FeedConnection): void | Promise<void> {
    this.connection = connection;
  }
  protected override receive(data: string, connection: FeedConnection) {
    if (data[0] === "+") connection.answer(data.slice(1), `answer to ${data.slice(1)}`);
    else if (data[0] === "-") {
      connection.fail(
        data.slice(1),
        new BrokerError("No margin", { kind: "rejected", outcome: "rejected" }),
      );
    } else this.emit(data);
  }
}

/** How a question ended. */
type End = { value: unknown } | { kind: string; outcome: string; cause?: unknown };

function outcome(promise: Promise<unknown>): { end?: End } {
  const result: { end?: End } = {};
  promise.then(
    (value) => result.end = { value },
    ({ kind, outcome, cause }) =>
      result.end = { kind, outcome, ...(cause && { cause: String(cause) }) },
  );
  return result;
}

Deno.test("FeedConnection.ask() resolves to what answer() is given, and says whether anybody waited", async () => {
  const feed = await connected(new AskingFeed());
  const { connection } = feed;
  const answers = [connection.ask("1", "one"), feed.ask("2", "two"), connection.expect("3")];
  assertEquals(feed.socket.sent, ["one", "two"]);
  for (const id of ["2", "3", "1"]) feed.socket.say(`+${id}`);
  assertEquals(await Promise.all(answers), ["answer to 1", "answer to 2", "answer to 3"]);
  assertEquals(connection.answer("1"), false);
  assertEquals(connection.fail("nobody's", new Error()), false);
  const asked = connection.ask("4", "four");
  assertEquals(connection.answer("4", { deep: true }), true);
  assertEquals(await asked, { deep: true });
  await over(feed);
});

Deno.test("FeedConnection.fail() passes its error as it is", async () => {
  const feed = await connected(new AskingFeed());
  const error = new BrokerError("No margin", { kind: "rejected", outcome: "rejected", code: 13 });
  for (const thrown of [error, new FeedError("no", { fatal: true }), "a text", undefined]) {
    const asked = feed.connection.ask("1", "one");
    assertEquals(feed.connection.fail("1", thrown), true);
    assertStrictEquals(await asked.catch((error) => error), thrown);
  }
  await over(feed);
});

// Thirteen ways in which a question can end, at five points of its life.
type Act = (feed: AskingFeed, controller: AbortController) => void;
const endings: Record<string, Act> = {
  answered: (feed) => feed.sockets.forEach((socket) => socket.say("+1")),
  failed: (feed) => feed.sockets.forEach((socket) => socket.say("-1")),
  "timed out": () => {},
  aborted: (_, controller) => controller.abort("enough"),
  reset: (feed) => feed.socket.end(1006),
  "closed by the venue": (feed) => feed.socket.end(1000),
  "closed for going too fast": (feed) => feed.socket.end(1008, "too fast"),
  "a fatal close": (feed) => feed.socket.end(1003),
  "an error of the socket": (feed) => feed.socket.fail("broken pipe"),
  "reconnect()": (feed) => feed.reconnect(),
  "close()": (feed) => void feed.close(),
  silence: () => {},
  "a fatal error in receive": (feed) => {
    Object.defineProperty(feed, "receive", {
      value: () => {
        throw new FeedError("enough", { fatal: true });
      },
    });
    feed.socket.say("1");
  },
};
/** What becomes of a question whose frame has left; "ended" stands for a connection that has. */
const ended = { kind: "network", outcome: "unknown" };
const fates: Record<string, End> = {
  answered: { value: "answer to 1" },
  failed: { kind: "rejected", outcome: "rejected" },
  "timed out": { kind: "timeout", outcome: "unknown" },
  aborted: { kind: "aborted", outcome: "unknown", cause: "enough" },
  reset: ended,
  "closed by the venue": ended,
  "closed for going too fast": ended,
  "a fatal close": ended,
  "an error of the socket": ended,
  "reconnect()": ended,
  "close()": { kind: "closed", outcome: "unknown" },
  silence: ended,
  "a fatal error in receive": ended,
};

/** The same where another connection has replaced that of the question: it ends alone. */
const unaffected = { kind: "timeout", outcome: "unknown" };
const replacedFates: Record<string, End> = {
  reset: unaffected,
  "closed by the venue": unaffected,
  "closed for going too fast": unaffected,
  "a fatal close": { kind: "closed", outcome: "unknown" },
  "an error of the socket": unaffected,
  "reconnect()": unaffected,
};

for (
  const [how, end] of Object.entries(endings) as [keyof typeof endings, typeof endings.reset][]
) {
  const options = {
    closeTimeout: 500,
    baseWait: 100_000,
    maxWait: 100_000,
    staleAfter: how === "silence" ? 2_000 : 0,
  };
  const timeout = how === "silence" ? 60_000 : 5_000;

  Deno.test(`FeedConnection.ask() ${how}, after the frame has left: ${JSON.stringify(fates[how])}`, async () => {
    using time = new FakeTime();
    const controller = new AbortController();
    const feed = await connected(new AskingFeed(options));
    const asked = outcome(feed.ask("1", "order", { timeout, signal: controller.signal }));
    await settle();
    assertEquals(asked.end, undefined);
    end(feed, controller);
    await tick(time, timeout);
    assertEquals(asked.end, fates[how]);
    assertEquals(feed.sockets[0].sent, ["order"]);
    await over(feed, time);
  });

  Deno.test(`FeedConnection.ask() ${how}, while the frame waits for pace: never sent, "not-sent"`, async () => {
    using time = new FakeTime();
    const pace = new Gate();
    const controller = new AbortController();
    const feed = await connected(new AskingFeed({ ...options, pace }));
    const asked = outcome(feed.ask("1", "order", { timeout, signal: controller.signal }));
    await settle();
    end(feed, controller);
    await tick(time, timeout);
    await pace.open();
    const { kind } = fates[how] as { kind?: string };
    // The venue cannot have answered what it has not seen: it is some older question's answer.
    const isWaiting = how === "answered" || how === "failed";
    const { cause } = fates[how] as { cause?: unknown };
    assertEquals(asked.end, {
      kind: isWaiting ? "timeout" : kind!,
      outcome: "not-sent",
      ...(cause !== undefined && { cause }),
    });
    assertEquals([feed.sockets[0].sent, pace.size], [[], 0]);
    await over(feed, time);
  });

  Deno.test(`FeedConnection.ask() ${how}, before it is asked: "not-sent", or asked of what is there`, async () => {
    using time = new FakeTime();
    const controller = new AbortController();
    const feed = await connected(new AskingFeed(options));
    end(feed, controller);
    if (how === "silence") { for (let i = 0; i < 12; i++) await tick(time, 250); }
    await settle();
    const isLive = feed.state === "live" && !controller.signal.aborted;
    const asked = outcome(feed.ask("1", "order", { timeout, signal: controller.signal }));
    await tick(time, timeout);
    assertEquals(feed.sockets[0].sent, isLive ? ["order"] : []);
    const kind = how === "aborted"
      ? "aborted"
      : feed.state === "closed" || how === "close()"
      ? "closed"
      : "network";
    assertEquals(
      asked.end,
      isLive ? { kind: "timeout", outcome: "unknown" } : {
        kind,
        outcome: "not-sent",
        ...(how === "aborted" && { cause: "enough" }),
      },
    );
    await over(feed, time);
  });

  Deno.test(`FeedConnection.ask() ${how}, then answered late: nobody waits any more`, async () => {
    using time = new FakeTime();
    const controller = new AbortController();
    const feed = await connected(new AskingFeed(options));
    const { connection } = feed;
    const asked = outcome(feed.ask("1", "order", { timeout, signal: controller.signal }));
    end(feed, controller);
    await tick(time, timeout);
    const { end: first } = asked;
    assertEquals(first, fates[how]);
    assertEquals([connection.answer("1", "late"), connection.fail("1", "late")], [false, false]);
    await settle();
    assertStrictEquals(asked.end, first);
    await over(feed, time);
  });

  Deno.test(`FeedConnection.ask() ${how}, after the connection was replaced: answered, or told`, async () => {
    using time = new FakeTime();
    const controller = new AbortController();
    const feed = await connected(new AskingFeed({ ...options, maxLifetime: 1_000, overlap: 100 }));
    await tick(time, 990);
    const asked = outcome(feed.ask("1", "order", { timeout, signal: controller.signal }));
    await tick(time, 10);
    const [old, next] = feed.sockets;
    next.open();
    await tick(time, 100); // handed over
    assertEquals([feed.lives.length, old.closedWith, asked.end], [2, undefined, undefined]);
    end(feed, controller);
    await tick(time, timeout);
    assertEquals(asked.end, { ...fates, ...replacedFates }[how]);
    assertEquals([old.sent, next.sent], [["order"], []]);
    await over(feed, time);
  });
}

Deno.test("FeedConnection.ask() refuses an id whose question has no answer yet, and sends nothing", async () => {
  const feed = await connected(new AskingFeed());
  const first = feed.ask("1", "one");
  for (const again of [feed.ask("1", "two"), feed.connection.expect("1")]) {
    const error = await assertRejects(() => again, BrokerError, "wanted another");
    assertEquals([error.kind, error.outcome], ["invalid", "not-sent"]);
  }
  feed.socket.say("+1");
  assertEquals(await first, "answer to 1");
  const second = feed.ask("1", "three");
  feed.socket.say("+1");
  assertEquals(await second, "answer to 1");
  assertEquals(feed.socket.sent, ["one", "three"]);
  await over(feed);
});

Deno.test("FeedConnection.ask() an answer that comes before the frame has left is not taken for its own", async () => {
  const pace = new Gate();
  const feed = await connected(new AskingFeed({ pace }));
  const asked = outcome(feed.ask("1", "order"));
  assertEquals(feed.connection.answer("1", "to an older question"), false);
  await pace.open();
  assertEquals([feed.socket.sent, asked.end], [["order"], undefined]);
  feed.socket.say("+1");
  await settle();
  assertEquals(asked.end, { value: "answer to 1" });
  await over(feed);
});

Deno.test("FeedConnection.ask() timeout: counted to the frame's leaving, and anew from there; Infinity sets no limit", async () => {
  using time = new FakeTime();
  const pace = new Gate();
  const feed = await connected(new AskingFeed({ pace }));
  const paced = outcome(feed.ask("1", "one"));
  const endless = outcome(feed.ask("2", "two", { timeout: Infinity }));
  await tick(time, 9_999);
  await pace.open();
  await tick(time, 9_999);
  assertEquals(paced.end, undefined);
  await tick(time, 1);
  assertEquals(paced.end, { kind: "timeout", outcome: "unknown" });
  await tick(time, 10_000_000);
  assertEquals(endless.end, undefined);
  await over(feed, time);
  assertEquals(endless.end, { kind: "closed", outcome: "unknown" });
});

Deno.test("FeedConnection.ask() refuses options that make no sense, by a rejection", async () => {
  const feed = await connected(new AskingFeed());
  for (const timeout of [0, -1, NaN]) {
    await assertRejects(
      () => feed.ask("1", "one", { timeout }),
      RangeError,
      `timeout is ${timeout}`,
    );
  }
  const bad = { timeout: "1" as unknown as number };
  await assertRejects(() => feed.ask("1", "one", bad), TypeError, 'timeout is "1", a string');
  const signal = {} as AbortSignal;
  await assertRejects(() => feed.ask("1", "one", { signal }), TypeError, "signal is an object");
  assertEquals(feed.socket.sent, []);
  await over(feed);
});

Deno.test('FeedConnection.ask() with a pace that refuses: "rate-limited", "not-sent"', async () => {
  const pace = new Gate();
  const feed = await connected(new AskingFeed({ pace }));
  pace.closed = true;
  const asked = outcome(feed.ask("1", "one"));
  await settle();
  assertEquals(asked.end, {
    kind: "rate-limited",
    outcome: "not-sent",
    cause: "Error: pace is closed",
  });
  await over(feed);
});

Deno.test('FeedConnection.ask() over a socket that throws while it sends: "unknown"', async () => {
  const feed = await connected(new AskingFeed());
  feed.socket.send = () => {
    throw new Error("broken");
  };
  const asked = outcome(feed.ask("1", "one"));
  await settle();
  assertEquals(asked.end, { kind: "network", outcome: "unknown", cause: "Error: broken" });
  await over(feed);
});

Deno.test('WebSocketFeeder.ask() in a state without a live connection: "not-sent"', async () => {
  using time = new FakeTime();
  const feed = new AskingFeed();
  const kinds: unknown[] = [];
  const ask = async () => {
    const { kind, outcome } = await feed.ask<BrokerError>("1", "one").catch((error) => error);
    kinds.push([feed.state, kind, outcome]);
  };
  await ask();
  feed.connect();
  await settle();
  await ask();
  await connected(feed);
  feed.socket.end();
  await settle();
  await ask();
  await over(feed, time);
  await ask();
  assertEquals(kinds, [
    ["idle", "network", "not-sent"],
    ["connecting", "network", "not-sent"],
    ["waiting", "network", "not-sent"],
    ["closed", "closed", "not-sent"],
  ]);
});

Deno.test("FeedConnection.expect() finds what came before it while the handshake runs, and not after", async () => {
  class Greeted extends AskingFeed {
    heard: unknown[] = [];
    protected override async handshake(connection: FeedConnection) {
      this.connection = connection;
      this.heard.push(await connection.expect("hello"));
      // Came in the same turn as the greeting.
      this.heard.push(await connection.expect("ready"));
      this.heard.push(await connection.expect("refused").catch(({ kind }) => kind));
    }
  }
  const feed = await connected(new Greeted());
  for (const frame of ["+hello", "+ready", "-refused"]) feed.socket.say(frame);
  await settle();
  assertEquals(feed.heard, ["answer to hello", "answer to ready", "rejected"]);
  assertEquals(feed.state, "live");
  feed.socket.say("+later");
  const later = outcome(feed.connection.expect("later"));
  await settle();
  assertEquals(later.end, undefined);
  await over(feed);
  assertEquals(later.end, { kind: "closed", outcome: "unknown" });
});

Deno.test("FeedConnection.ask() in a handshake: one line is a login", async () => {
  class Login extends AskingFeed {
    protected override async handshake(connection: FeedConnection) {
      await connection.ask("login", "login");
    }
  }
  const feed = await connected(new Login());
  feed.subscribe("a");
  assertEquals([feed.state, feed.socket.sent], ["connecting", ["login"]]);
  feed.socket.say("+login");
  await settle();
  assertEquals([feed.state, feed.socket.sent], ["live", ["login", "+a"]]);
  await over(feed);
});

Deno.test("FeedConnection.ask() two questions of a login that is refused leave no rejection unhandled", async () => {
  class Login extends AskingFeed {
    protected override async handshake(connection: FeedConnection) {
      const [key, scope] = [connection.ask("key", "key"), connection.ask("scope", "scope")];
      await key; // rejects, so that nobody ever awaits the other
      await scope;
    }
  }
  const feed = await connected(new Login());
  feed.socket.say("-key");
  feed.socket.say("-scope");
  // The test runner fails on a rejection that nobody handled.
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(feed.state, "waiting");
  assertEquals((feed.retries[0].ending.cause as BrokerError).kind, "rejected");
  await over(feed);
});

Deno.test("FeedConnection.ask() passes subscriptions that wait for pace", async () => {
  const urgent: (boolean | undefined)[] = [];
  class Urgent extends Gate {
    override run<R>(
      fn: () => R | PromiseLike<R>,
      options: Parameters<Gate["run"]>[1] & { urgent?: boolean } = {},
    ) {
      urgent.push(options.urgent);
      return super.run(fn, options);
    }
  }
  const feed = await connected(new AskingFeed({ pace: new Urgent() }));
  feed.subscribe("a");
  await settle();
  feed.ask("1", "order");
  feed.send("cancel");
  assertEquals(urgent, [false, true, true]);
  await over(feed);
});

Deno.test("FeedConnection.ask() a hundred thousand times leaves no question, timer or listener", async () => {
  using time = new FakeTime();
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const questions = new Questions();
  for (let i = 0; i < 100_000; i++) {
    const question: Question = questions.open(i, { signal }, false);
    question.sent();
    assert(questions.settle(i, (question) => question.resolve(i)));
  }
  assertEquals([questions.size, listeners], [0, 0]);
  assertEquals(time.next(), false);
  await questions.answered();
});

// ---------------------------------------------------------------- reconcile

/** A venue that executes orders over the socket, `buy 1`, and can be asked which it has. */
for (
  const [fate, act, expected] of [
    ["answered", (feed: AskingFeed) => feed.socket.say("+1"), "answer to 1"],
    ["executed, and the connection lost", (feed: AskingFeed) => feed.socket.end(), "found 1"],
    ["executed, and never answered", () => {}, "found 1"],
    ["lost on its way", (feed: AskingFeed) => {
      feed.socket.sent.length = 0;
      feed.socket.end();
    }, "absent"],
    ["refused", (feed: AskingFeed) => feed.socket.say("-1"), "rejected"],
  ] as const
) {
  Deno.test(`reconcile() works on FeedConnection.ask(): an order that is ${fate} is ${expected}`, async () => {
    using time = fakeClock();
    const feed = await connected(new AskingFeed({ baseWait: 100_000, maxWait: 100_000 }));
    const { socket } = feed;
    const order = () => feed.ask<string>("1", "buy 1", { timeout: 5_000 });
    let finds = 0;
    const placed = reconcile(order, {
      horizon: 2_000,
      timeout: 60_000,
      find: () => {
        finds++;
        return socket.sent.includes("buy 1") ? "found 1" : undefined;
      },
    }).catch(({ outcome }) => outcome);
    await settle();
    assertEquals(socket.sent, ["buy 1"]);
    act(feed);
    await pass(time, 30_000);
    assertEquals(await placed, expected);
    assertEquals(finds > 0, expected === "found 1" || expected === "absent");
    await over(feed, time);
  });
}

Deno.test("reconcile() looks nothing up for a question whose frame never left", async () => {
  const feed = new AskingFeed();
  const find = () => {
    throw new Error("looked up");
  };
  const order = () => feed.ask<BrokerError>("1", "buy 1");
  const error = await reconcile(order, { find }).catch((error) => error);
  assertEquals([error.kind, error.outcome], ["network", "not-sent"]);
  await feed.close();
});

Deno.test("WebSocketFeeder.ask() that is aborted leaves the line of its pace", async () => {
  const pace = new Gate();
  const feed = await connected(new TestFeed({ pace }));
  const controller = new AbortController();
  const asked = feed.ask("1", "order", { signal: controller.signal });
  await settle();
  assertEquals(pace.size, 1);
  controller.abort();
  assertEquals((await assertRejects(() => asked, BrokerError)).outcome, "not-sent");
  assertEquals(pace.size, 0);
  await over(feed);
});
