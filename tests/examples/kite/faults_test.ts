/**
 * Every fault of the test kit, between KiteBroker and the simulated Kite: the verdict is true.
 */

import { assert, assertEquals } from "@std/assert";
import { BrokerError, type Outcome } from "@aio-trader/core";
import {
  HTTP_FAULTS,
  type HttpFault,
  LoopbackVenue,
  reply,
  type VenueRequest,
} from "@aio-trader/core/testing";
import { KiteBroker } from "../../../examples/kite/broker.ts";
import { KiteSimulator } from "../../../examples/kite/simulator.ts";

const LIMIT = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "LIMIT",
  product: "CNC",
  quantity: 1,
  price: 1_400,
} as const;

/** How late the late faults are, in milliseconds: later than a request waits. */
const LATE = 1_500;

interface World extends AsyncDisposable {
  readonly venue: KiteSimulator;
  /** Stands before the venue, and fails on purpose. */
  readonly gateway: LoopbackVenue;
  readonly broker: KiteBroker;
}

async function world(): Promise<World> {
  const venue = new KiteSimulator({ seed: 7, interval: 0, limited: false });
  const gateway = await LoopbackVenue.listen();
  const forward = async ({ method, path, headers, body }: VenueRequest) => {
    const { authorization = "", "content-type": type = "" } = Object.fromEntries(headers);
    const response = await fetch(venue.httpUrl + path, {
      method,
      headers: { authorization, "content-type": type },
      ...method !== "GET" && method !== "DELETE" && { body },
    });
    return reply(response.status, await response.json());
  };
  for (const route of ["GET /orders", "POST /orders/:variety"]) gateway.on(route, forward);
  for (const method of ["PUT", "DELETE"]) gateway.on(`${method} /orders/:variety/:id`, forward);
  const broker = new KiteBroker({
    ...{ baseUrl: gateway.httpUrl, throttlers: [], timeout: 1_000, retry: false },
    reconcile: { horizon: 2_500, timeout: 20_000 },
  });
  await broker.authorize(venue.login);
  return {
    ...{ venue, gateway, broker },
    async [Symbol.asyncDispose]() {
      await broker.close();
      await gateway.close();
      await venue.close();
    },
  };
}

/** What a caller is told: `"done"`, or the outcome of the error. */
async function verdict(call: Promise<unknown>): Promise<"done" | Outcome> {
  try {
    await call;
    return "done";
  } catch (error) {
    assert(error instanceof BrokerError, String(error));
    return error.outcome;
  }
}

const FAULTS = Object.keys(HTTP_FAULTS) as HttpFault[];

/** Places, changes and cancels an order, each with a fault, and holds what is told to the venue. */
async function judge(fault: HttpFault): Promise<void> {
  await using it = await world();
  const { executions } = it.venue.desk;
  const { executes } = HTTP_FAULTS[fault];
  const wanted = executes > 0 ? "done" : "absent";

  it.gateway.fail("POST /orders/:variety", fault, { delay: LATE });
  const placed = await verdict(it.broker.placeOrder({ ...LIMIT, tag: "judged" }));
  const orders = it.venue.desk.orders.filter(({ tag }) => tag === "judged");
  assertEquals([placed, orders.length, executions.placed], [wanted, executes, executes], fault);

  const { order_id } = orders[0] ?? await it.broker.placeOrder(LIMIT);
  it.gateway.heal();
  it.gateway.fail("PUT /orders/:variety/:id", fault, { delay: LATE });
  const changed = await verdict(it.broker.modifyOrder(order_id, { quantity: 2 }));
  assertEquals([changed, executions.modified], [wanted, executes], fault);

  it.gateway.heal();
  it.gateway.fail("DELETE /orders/:variety/:id", fault, { delay: LATE });
  const cancelled = await verdict(it.broker.cancelOrder(order_id));
  // The second execution finds no open order, and its answer is the one that comes.
  const isTwice = fault === "executed-twice";
  const right = [isTwice ? "rejected" : wanted, Math.min(executes, 1)];
  assertEquals([cancelled, executions.cancelled], right, fault);
}

Deno.test("KiteBroker tells the truth about an order, a change and a cancel, with every fault of the kit", async () => {
  const ended = await Promise.allSettled(FAULTS.map(judge));
  const wrong = ended.flatMap((it) => it.status === "rejected" ? [it.reason] : []);
  assertEquals(wrong, []);
});

for (
  const fault of ["hang-after-executing", "reset-before-executing", "cut-body", "status"] as const
) {
  Deno.test(`KiteBroker finds an order though the order book fails at first: ${fault}`, async () => {
    await using it = await world();
    it.gateway.fail("POST /orders/:variety", "reset-after-executing");
    it.gateway.fail("GET /orders", fault, { times: 2 });
    const { order_id } = await it.broker.placeOrder(LIMIT);
    assertEquals(it.venue.desk.orders.map((order) => order.order_id), [order_id]);
  });
}
