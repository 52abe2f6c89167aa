import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { AbstractBroker } from "../broker.ts";
import { BrokerError, type Reply, type Session, type SessionOptions } from "../session.ts";

/** A broker that shows what only its subclasses see. */
class Venue extends AbstractBroker<string> {
  constructor(options?: Partial<SessionOptions>) {
    super();
    if (options) this.initialise(options);
  }

  get open(): Session {
    return this.session;
  }

  initialise(options: Partial<SessionOptions>): void {
    this.initialiseSession({ baseUrl: "https://api.venue.example", ...options });
  }

  override authorize(token: string): Promise<void> {
    this.session.headers.set("authorization", token);
    return Promise.resolve();
  }
}

/** A venue that refuses every token but `valid`. */
function accept(valid: string): typeof fetch {
  const reply = (_: unknown, init?: RequestInit) => {
    const { authorization } = init!.headers as Record<string, string>;
    return Promise.resolve(new Response("{}", { status: authorization === valid ? 200 : 401 }));
  };
  return reply as typeof fetch;
}

Deno.test("AbstractBroker.session says that it has not been initialised", () => {
  const error = assertThrows(() => new Venue().open, Error);
  assertStringIncludes(error.message, "initialiseSession()");
});

Deno.test("AbstractBroker.initialiseSession() refuses a second session", () => {
  const venue = new Venue({});
  const { open } = venue;
  assertThrows(() => venue.initialise({}), Error, "already");
  assertStrictEquals(venue.open, open);
});

Deno.test("AbstractBroker.initialiseSession() refuses a session once the broker is closed", async () => {
  const venue = new Venue();
  await venue.close();
  assertThrows(() => venue.initialise({}), Error, "closed");
});

Deno.test("AbstractBroker.authorize() sets what every later call sends", async () => {
  await using venue = new Venue({ fetch: accept("good"), retry: false });
  await assertRejects(() => venue.open.get("x"), BrokerError, "401");
  await venue.authorize("good");
  assertEquals(await venue.open.get("x"), {});
});

Deno.test("AbstractBroker without renew() takes a 401 as final", async () => {
  let calls = 0;
  const fetch = () => {
    calls++;
    return Promise.resolve(new Response(null, { status: 401 }));
  };
  await using venue = new Venue({ fetch });
  const error = await assertRejects(() => venue.open.get("x"), BrokerError);
  assertEquals([error.kind, error.outcome, calls], ["unauthorized", "rejected", 1]);
});

Deno.test("AbstractBroker.renew() and failure() are called as methods of the broker", async () => {
  class Own extends Venue {
    renewals = 0;
    replies: Reply[] = [];
    protected override async renew(): Promise<void> {
      this.renewals++;
      await this.authorize("good");
    }
    protected override failure(reply: Reply): undefined {
      this.replies.push(reply);
    }
  }
  await using venue = new Own({ fetch: accept("good") });
  await venue.authorize("old");
  assertEquals(await venue.open.post("orders"), {});
  assertEquals(venue.renewals, 1);
  assertEquals(venue.replies.map(({ status, data }) => [status, data]), [[401, {}], [200, {}]]);
});

Deno.test("AbstractBroker takes an error of kind unauthorized, outcome rejected from failure() for a 401", async () => {
  let sent = 0;
  class Own extends Venue {
    renewals = 0;
    constructor() {
      super({ fetch: () => Promise.resolve(Response.json({ refuses: ++sent <= 2 })) });
    }
    protected override renew(): Promise<void> {
      this.renewals++;
      return Promise.resolve();
    }
    protected override failure({ data }: Reply): BrokerError | undefined {
      const { refuses } = data as { refuses: boolean };
      const init = { kind: "unauthorized", outcome: "rejected" } as const;
      return refuses ? new BrokerError("Bad timestamp", init) : undefined;
    }
  }
  await using venue = new Own();
  const orders = await Promise.all([venue.open.post("orders"), venue.open.post("orders")]);
  assertEquals(orders, [{ refuses: false }, { refuses: false }]);
  assertEquals([venue.renewals, sent], [1, 4]);
});

Deno.test("AbstractBroker.initialiseSession() prefers its options to renew() and failure()", async () => {
  class Own extends Venue {
    protected override renew(): Promise<void> {
      throw new Error("not me");
    }
    protected override failure(): undefined {
      throw new Error("not me");
    }
  }
  let renewals = 0;
  await using venue: Venue = new Own({
    fetch: accept("good"),
    failure: () => undefined,
    onUnauthorized: () => {
      renewals++;
      return venue.authorize("good");
    },
  });
  assertEquals(await venue.open.get("x"), {});
  assertEquals(renewals, 1);
});

Deno.test("AbstractBroker.close() closes the session, twice or without one", async () => {
  const venue = new Venue({ fetch: accept("") });
  await Promise.all([venue.close(), venue.close()]);
  await venue.close();
  const error = await assertRejects(() => venue.open.get("x"), BrokerError);
  assertEquals([error.kind, error.outcome], ["closed", "not-sent"]);
  await new Venue().close();
});

Deno.test("AbstractBroker[Symbol.asyncDispose]() calls close(), a subclass's own too", async () => {
  let closed = 0;
  class Own extends Venue {
    override async close(): Promise<void> {
      closed++;
      await super.close();
    }
  }
  {
    await using _venue = new Own({});
  }
  assertEquals(closed, 1);
});

Deno.test("AbstractBroker shows nothing of its session", () => {
  const venue = new Venue({ headers: { key: "hunter2" } });
  assert(!Deno.inspect(venue, { depth: 9, showHidden: true }).includes("hunter2"));
  assertEquals(JSON.stringify(venue), "{}");
});

Deno.test("AbstractBroker looks failure and renew up when they are called: fields of a grandchild count", async () => {
  class Child extends Venue {}
  class Grandchild extends Child {
    renewals = 0;
    protected override failure = ({ data }: Reply): BrokerError | undefined =>
      Object(data).error
        ? new BrokerError(Object(data).error, { kind: "rejected", outcome: "rejected" })
        : undefined;
    protected override renew = async (): Promise<void> => {
      this.renewals++;
      await this.authorize("good");
    };
  }
  const envelope = () => Promise.resolve(Response.json({ error: "No margin" }));
  await using refusing = new Grandchild({ fetch: envelope });
  const error = await assertRejects(() => refusing.open.post("orders"), BrokerError);
  assertEquals(error.message, "No margin");
  await using venue = new Grandchild({ fetch: accept("good") });
  assertEquals(await venue.open.post("orders"), {});
  assertEquals(venue.renewals, 1);
});

Deno.test("AbstractBroker takes hooks that are undefined among the options for its own", async () => {
  class Own extends Venue {
    protected override renew(): Promise<void> {
      return this.authorize("good");
    }
  }
  await using venue = new Own({
    fetch: accept("good"),
    onUnauthorized: undefined,
    failure: undefined,
  });
  assertEquals(await venue.open.post("orders"), {});
});

Deno.test("AbstractBroker.close() waits for an order in flight, and for the last request to end", async () => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<Response>();
  const venue = new Venue({ fetch: (() => answered) as typeof fetch });
  const order = venue.open.post("orders");
  await new Promise((resolve) => setTimeout(resolve, 0));
  let isClosed = false;
  const closed = venue.close().then(() => isClosed = true);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(isClosed, false);
  answer(Response.json({ id: 1 }));
  assertEquals(await order, { id: 1 });
  await closed;
});
