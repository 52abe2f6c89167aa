/**
 * What a broker promises, on every runtime and against real sockets: one new login for everyone who was refused, and an
 * end that is prompt, whatever goes on.
 *
 * @module
 */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { AbstractBroker } from "../../broker.ts";
import {
  BrokerError,
  type Reply,
  type RequestOptions,
  type SessionOptions,
} from "../../session.ts";
import { type Handler, LoopbackVenue, reply, type Step } from "../../testing.ts";
import { Throttler } from "../../throttler.ts";
import { check, run } from "./harness.ts";

const SECRET = "53cr3t-t0k3n";

/** A broker whose login is a count: the venue of {@linkcode executing} takes the newest only. */
class Broker extends AbstractBroker<number> {
  logins = 0;
  onRenew: () => Promise<void> = () => this.authorize(this.logins + 1);

  constructor(options: SessionOptions) {
    super();
    this.initialiseSession({ timeout: 2_000, retry: { baseWait: 1, jitter: 0 }, ...options });
    this.session.headers.set("authorization", `token ${SECRET} 0`);
  }

  override authorize(login: number): Promise<void> {
    this.logins = login;
    this.session.headers.set("authorization", `token ${SECRET} ${login}`);
    return Promise.resolve();
  }

  protected override renew(): Promise<void> {
    return this.onRenew();
  }

  protected override failure({ data }: Reply): BrokerError | undefined {
    const { error_type } = Object(data);
    if (error_type === undefined) return undefined;
    const kind = error_type === "TokenException" ? "unauthorized" : "rejected";
    return new BrokerError(`The venue says ${error_type}`, {
      kind,
      outcome: "rejected",
      code: error_type,
    });
  }

  call<T>(method: string, path: string, options?: RequestOptions<T>): Promise<T> {
    return this.session.request<T>(method, path, options).then(({ data }) => data);
  }
}

/** Executes orders of the login `valid`, and counts them by path; refuses others. */
function executing(executed: Map<string, number>, valid = 1): Handler {
  return ({ path, headers }) => {
    const isKnown = headers.get("authorization") === `token ${SECRET} ${valid}`;
    if (isKnown) executed.set(path, (executed.get(path) ?? 0) + 1);
    return reply(isKnown ? 200 : 401, {});
  };
}

/** A venue whose requests end in these ways, one by one. */
async function listen(...steps: Step[]): Promise<LoopbackVenue> {
  return (await LoopbackVenue.listen()).will("*", ...steps);
}

async function failure(call: Promise<unknown>): Promise<BrokerError> {
  const error = await call.then((data) => assert.fail(`resolved to ${inspect(data)}`), (e) => e);
  assert(error instanceof BrokerError, inspect(error));
  for (const text of [inspect(error, { showHidden: true }), error.stack, JSON.stringify(error)]) {
    assert(!text?.includes(SECRET), text);
  }
  return error;
}

function paths(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `/orders/${i}`);
}

check("100 calls that are answered 401 log in once, and each is replayed once", async () => {
  const executed = new Map<string, number>();
  const venue = await listen(executing(executed));
  const broker = new Broker({ baseUrl: venue.httpUrl });
  let renewals = 0;
  broker.onRenew = async () => {
    renewals++;
    await new Promise((resolve) => setTimeout(resolve, 50));
    await broker.authorize(1);
  };
  await Promise.all(paths(100).map((path, i) => broker.call(i % 2 ? "POST" : "GET", path)));
  assert.equal(renewals, 1);
  // Calls that had not been sent when the login began waited for it.
  assert(venue.requests.length > 100 && venue.requests.length <= 200);
  assert.deepEqual([...executed.values()], Array(100).fill(1));
  await broker.close();
  await venue.close();
});

check("calls that start while the login goes on wait for the same one", async () => {
  const executed = new Map<string, number>();
  const venue = await listen(executing(executed));
  const throttler = new Throttler({ limit: 5, period: 40 });
  const broker = new Broker({ baseUrl: venue.httpUrl, throttlers: [throttler] });
  let renewals = 0;
  broker.onRenew = async () => {
    renewals++;
    await new Promise((resolve) => setTimeout(resolve, 100));
    await broker.authorize(1);
  };
  await Promise.all(paths(20).map((path) => broker.call("POST", path)));
  assert.equal(renewals, 1);
  assert.deepEqual([...executed.values()], Array(20).fill(1));
  await broker.close();
  await venue.close();
});

check("a 401 that comes after the login has ended does not start another", async () => {
  const executed = new Map<string, number>();
  const refuse = { status: 401, body: {} };
  const venue = await listen(
    ["late-answer", { delay: 150, ...refuse }],
    ["status", refuse],
    executing(executed),
  );
  const broker = new Broker({ baseUrl: venue.httpUrl });
  let renewals = 0;
  broker.onRenew = () => {
    renewals++;
    return broker.authorize(1);
  };
  const slow = broker.call("POST", "slow");
  await venue.until(() => venue.requests.length >= 1);
  await broker.call("POST", "fast");
  await slow;
  assert.equal(renewals, 1);
  assert.deepEqual(executed, new Map([["/fast", 1], ["/slow", 1]]));
  await broker.close();
  await venue.close();
});

check(
  "a login that fails is the cause of each refused call's own error; the next 401 tries anew",
  async () => {
    const venue = await listen(reply(401));
    const broker = new Broker({ baseUrl: venue.httpUrl });
    let renewals = 0;
    const own = new Error("Wrong password");
    broker.onRenew = () => {
      renewals++;
      return Promise.reject(own);
    };
    const results = await Promise.allSettled(paths(100).map((path) => broker.call("GET", path)));
    for (const result of results) {
      const error: BrokerError = (result as PromiseRejectedResult).reason;
      assert.deepEqual([error.kind, error.cause], ["unauthorized", own]);
    }
    assert.equal(renewals, 1);
    assert.equal(venue.requests.length, 100, "none is repeated");
    const { outcome, cause } = await failure(broker.call("POST", "orders"));
    assert.deepEqual([outcome, cause], ["rejected", own]);
    assert.equal(renewals, 2);
    await broker.close();
    await venue.close();
  },
);

check("a login that fails on the network is not repeated through the calls that wait", async () => {
  const venue = await listen(({ path }) => reply(path === "/login" ? 503 : 401));
  const broker = new Broker({ baseUrl: venue.httpUrl });
  broker.onRenew = () => broker.call("POST", "login", { renew: false });
  const error = await failure(broker.call("GET", "book"));
  assert.equal(error.url, `${venue.httpUrl}book`);
  assert.equal((error.cause as BrokerError).url, `${venue.httpUrl}login`);
  assert.equal(venue.requests.length, 2);
  await broker.close();
  await venue.close();
});

check("a second 401 is final", async () => {
  const venue = await listen(reply(401));
  const broker = new Broker({ baseUrl: venue.httpUrl });
  for (const method of ["GET", "POST"]) {
    venue.requests.length = 0;
    const error = await failure(broker.call(method, "orders"));
    assert.equal(error.kind, "unauthorized");
    assert.equal(error.outcome, "rejected");
    assert.equal(error.status, 401);
    assert.equal(venue.requests.length, 2);
  }
  assert.equal(broker.logins, 2);
  await broker.close();
  await venue.close();
});

check("a POST of unknown outcome is not replayed, whatever the login does", async () => {
  const venue = await listen("reset-before-executing", reply(401));
  const broker = new Broker({ baseUrl: venue.httpUrl });
  const [lost, refused] = [
    failure(broker.call("POST", "lost")),
    failure(broker.call("POST", "refused")),
  ];
  const outcomes = [(await lost).outcome, (await refused).outcome].sort();
  assert.deepEqual(outcomes, ["rejected", "unknown"]);
  assert.equal(broker.logins, 1);
  const sent = Map.groupBy(venue.requests, ({ path }) => path);
  assert.deepEqual([...sent.values()].map(({ length }) => length).sort(), [1, 2]);
  await broker.close();
  await venue.close();
});

check("the venue's own envelope can ask for a login, or refuse with a 200", async () => {
  const token = reply(403, { error_type: "TokenException" });
  const margin = reply(200, { error_type: "MarginException" });
  const venue = await listen(token, margin);
  const broker = new Broker({ baseUrl: venue.httpUrl });
  const error = await failure(broker.call("POST", "orders", { query: { key: SECRET } }));
  assert.equal(broker.logins, 1);
  assert.equal(venue.requests.length, 2);
  assert.equal(error.code, "MarginException");
  assert.equal(error.outcome, "rejected");
  assert.deepEqual([error.method, error.url, error.status], [
    "POST",
    `${venue.httpUrl}orders`,
    200,
  ]);
  await broker.close();
  await venue.close();
});

check("a login through the session says renew: false, and a wrong password is final", async () => {
  const venue = await listen(reply(401));
  const broker = new Broker({ baseUrl: venue.httpUrl });
  broker.onRenew = async () => {
    await broker.call("POST", "login", { renew: false, json: { password: SECRET } });
  };
  const errors = await Promise.all(paths(10).map((path) => failure(broker.call("POST", path))));
  for (const error of errors) {
    assert.equal(error.outcome, "rejected");
    assert.equal((error.cause as BrokerError).url, `${venue.httpUrl}login`);
  }
  assert.equal(venue.requests.length, 11);
  await broker.close();
  await venue.close();
});

check(
  "a login that is answered 401 ends with that; one that waits for itself, with the timeout",
  async () => {
    const venue = await listen(reply(401));
    const broker = new Broker({ baseUrl: venue.httpUrl, timeout: 150 });
    const login = async () => void await broker.call("POST", "login");
    const logins: Record<string, () => Promise<void>> = {
      unauthorized: login,
      timeout: () => Promise.resolve().then(login),
    };
    for (const [kind, onRenew] of Object.entries(logins)) {
      broker.onRenew = onRenew;
      const error = await failure(broker.call("POST", "orders"));
      assert.equal(error.kind, kind);
      assert.equal(error.outcome, "rejected");
    }
    await broker.close();
    await venue.close();
  },
);

/** Every state in which a call can be when its broker is closed, or its signal aborted. */
const STATES: Record<
  string,
  { step?: Step; options?: Partial<SessionOptions>; sent: number; outcome: string }
> = {
  "in flight": { sent: 1, outcome: "unknown" },
  "mid-body": { step: ["stall-body", { body: '{"half":' }], sent: 1, outcome: "unknown" },
  "in the body of a refusal": {
    step: ["stall-body", { status: 400, body: "no" }],
    sent: 1,
    outcome: "rejected",
  },
  "in sign": { options: { sign: () => new Promise(() => {}) }, sent: 0, outcome: "not-sent" },
  // Late, so that all have been sent when the login begins: later ones would wait for it.
  "in a login": {
    step: ["late-answer", { delay: 100, status: 401 }],
    sent: 1,
    outcome: "rejected",
  },
};

for (
  const [name, { step = "hang-before-executing", options, sent, outcome }] of Object.entries(STATES)
) {
  for (const by of ["close()", "its signal"]) {
    check(`a call ${name} is ended by ${by}, at once and without a trace`, async () => {
      const venue = await listen(step);
      const broker = new Broker({
        baseUrl: venue.httpUrl,
        timeout: Infinity,
        closeTimeout: 0,
        ...options,
      });
      broker.onRenew = () => new Promise(() => {});
      const controller = new AbortController();
      const calls = ["POST", "GET", "PUT"].map((method) =>
        failure(
          broker.call(method, "orders", { query: { key: SECRET }, signal: controller.signal }),
        )
      );
      await venue.until(() => venue.requests.length >= 3 * sent);
      await new Promise((resolve) => setTimeout(resolve, 250)); // the answers arrive
      const start = performance.now();
      const reason = new Error("Changed my mind");
      if (by === "close()") await Promise.all([broker.close(), broker.close()]);
      else controller.abort(reason);
      for (const error of await Promise.all(calls)) {
        assert.equal(error.kind, by === "close()" ? "closed" : "aborted");
        assert.equal(error.outcome, outcome);
        assert.equal(error.retriable, false);
        assert.equal(error.cause, by === "close()" ? undefined : reason);
      }
      assert(performance.now() - start < 1_000);
      await broker.close();
      assert.equal(venue.requests.length, 3 * sent);
      await venue.close();
    });
  }
}

check("calls that wait for a throttler or a repeat are ended by close()", async () => {
  const venue = await listen(reply(503), reply(200));
  const throttler = new Throttler({ limit: 1, period: 60_000 });
  const broker = new Broker({ baseUrl: venue.httpUrl, retry: { baseWait: 60_000, jitter: 0 } });
  const waiting = failure(broker.call("GET", "book"));
  await venue.until(() => venue.requests.length >= 1);
  const throttlers = [throttler];
  const throttled = paths(10).map((path) => failure(broker.call("POST", path, { throttlers })));
  while (throttler.size < 9) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const start = performance.now();
  await broker.close();
  assert(performance.now() - start < 1_000);
  assert.equal(throttler.size, 0);
  assert.equal((await waiting).kind, "closed");
  assert.equal((await waiting).outcome, "unknown", "it had been sent before");
  const errors = await Promise.all(throttled.slice(1));
  for (const { kind, outcome } of errors) assert.deepEqual([kind, outcome], ["closed", "not-sent"]);
  const late = await failure(broker.call("POST", "orders"));
  assert.deepEqual([late.kind, late.outcome], ["closed", "not-sent"]);
  await throttled[0].catch(() => {});
  assert.equal(venue.requests.length, 2);
  await venue.close();
});

check(
  "close() waits for an order in flight, ends a GET at once, and refuses a new call",
  async () => {
    const executed = new Map<string, number>();
    const venue = await listen(["late-execution", { delay: 150 }]);
    venue.on("*", executing(executed, 0)).will("GET /book", "hang-before-executing");
    const broker = new Broker({ baseUrl: venue.httpUrl });
    const read = failure(broker.call("GET", "book"));
    const orders = ["POST", "PUT", "DELETE"].map((method) =>
      broker.call(method, `orders/${method}`)
    );
    await venue.until(() => venue.requests.length >= 4);
    let isOver = false;
    const closed = broker.close().then(() => isOver = true);
    assert.equal((await read).kind, "closed");
    assert.equal(isOver, false, "the orders are still in flight");
    const refused = await failure(broker.call("POST", "orders"));
    assert.deepEqual([refused.kind, refused.outcome], ["closed", "not-sent"]);
    assert.deepEqual(await Promise.all(orders), [{}, {}, {}]);
    await closed;
    assert.deepEqual([...executed.values()], [1, 1, 1]);
    await venue.close();
  },
);

check(
  "close() ends an order that is not answered within closeTimeout: closed, unknown",
  async () => {
    const venue = await listen("hang-before-executing");
    const broker = new Broker({ baseUrl: venue.httpUrl, closeTimeout: 100, timeout: Infinity });
    const order = failure(broker.call("POST", "orders"));
    await venue.until(() => venue.requests.length >= 1);
    const start = performance.now();
    await broker.close();
    assert(performance.now() - start >= 99);
    assert.deepEqual([(await order).kind, (await order).outcome], ["closed", "unknown"]);
    await venue.close();
  },
);

check("an order whose answer is lost is found by a look-up, while the broker closes", async () => {
  const venue = await listen();
  venue.on("GET /orders/7", { id: 7 });
  venue.on("POST /orders", () => new Promise((resolve) => setTimeout(resolve, 50)));
  venue.will("POST /orders", "reset-after-executing");
  const broker = new Broker({ baseUrl: venue.httpUrl });
  const order = broker.call("POST", "orders", {
    reconcile: { find: ({ signal }) => broker.call("GET", "orders/7", { signal }), horizon: 0 },
  });
  await venue.until(() => venue.requests.length >= 1);
  const closed = broker.close();
  assert.deepEqual(await order, { id: 7 });
  await closed;
  assert.equal(venue.requests.length, 2);
  await venue.close();
});

check(
  "a login goes before the calls that wait for its throttler, none of which carries the dead token",
  async () => {
    const executed = new Map<string, number>();
    const venue = await listen(executing(executed));
    venue.will("POST /login", reply(200, {}));
    const throttler = new Throttler({ limit: 1, period: 20 });
    const broker = new Broker({ baseUrl: venue.httpUrl, throttlers: [throttler] });
    broker.onRenew = async () => {
      await broker.call("POST", "login", { renew: false });
      await broker.authorize(1);
    };
    await Promise.all(paths(20).map((path) => broker.call("POST", path)));
    const sent = venue.requests.map(({ path }) => path);
    assert.deepEqual(sent, ["/orders/0", "/login", ...paths(20)]);
    await broker.close();
    await venue.close();
  },
);

check("a broker shows none of its secrets", async () => {
  const broker = new Broker({
    baseUrl: "http://venue.invalid",
    sign: () => {},
    headers: { "x-key": SECRET },
  });
  const { Deno, Bun } = globalThis as { Deno?: Inspector; Bun?: Inspector };
  const shown = [
    inspect(broker, { showHidden: true, depth: 9 }),
    JSON.stringify(broker),
    Deno?.inspect(broker, { depth: 9 }),
    Bun?.inspect(broker),
  ];
  for (const text of shown) assert(!text?.includes(SECRET), text);
  await broker.close();
});

interface Inspector {
  inspect(value: unknown, options?: unknown): string;
}

await run();
