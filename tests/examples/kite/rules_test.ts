import { assert, assertEquals, assertRejects } from "@std/assert";
import { BrokerError } from "@aio-trader/core";
import { KiteBroker, type KiteOrderRequest } from "../../../examples/kite/broker.ts";
import { INSTRUMENTS, Listing } from "../../../examples/kite/listing.ts";
import { judge, Refusal, RULES } from "../../../examples/kite/rules.ts";
import { KiteSimulator } from "../../../examples/kite/simulator.ts";

type Form = Record<string, string | undefined>;

const LISTINGS = INSTRUMENTS.map((instrument) => new Listing(instrument, 1));

const INFY: Form = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  product: "CNC",
  quantity: "1",
};
const LIMIT: Form = { ...INFY, order_type: "LIMIT", price: "1400" };
const MARKET: Form = { ...INFY, order_type: "MARKET", market_protection: "-1" };
const SL: Form = { ...INFY, order_type: "SL", price: "1600", trigger_price: "1590" };
const SLM: Form = { ...MARKET, order_type: "SL-M", trigger_price: "1590" };
const FUTURE: Form = { ...LIMIT, exchange: "CDS", tradingsymbol: "USDINR26NOVFUT", price: "83" };
const ICEBERG: Form = {
  ...{ ...LIMIT, variety: "iceberg", quantity: "50" },
  ...{ iceberg_legs: "5", iceberg_quantity: "10" },
};
const TTL: Form = { ...LIMIT, validity: "TTL", validity_ttl: "1" };
const AUCTION: Form = { ...LIMIT, variety: "auction", auction_number: "22" };

/** By rule: orders that break it, and their neighbours that do not. */
const CASES: Record<string, { broken: Form[]; kept: Form[] }> = {
  "a variety that exists": {
    broken: ["bo", "REGULAR", "limit", "x"].map((variety) => ({ ...LIMIT, variety })),
    kept: ["regular", "amo"].map((variety) => ({ ...LIMIT, variety })),
  },
  "an instrument that is listed, and no index": {
    broken: [
      { ...LIMIT, tradingsymbol: "NONE" },
      { ...LIMIT, tradingsymbol: "NIFTY 50" },
      { ...LIMIT, exchange: "NYSE" },
      { ...LIMIT, tradingsymbol: undefined },
    ],
    kept: [{ ...LIMIT, exchange: "BSE" }, { ...LIMIT, tradingsymbol: "TATAMOTORS" }],
  },
  "transaction_type is one of BUY, SELL": {
    broken: ["HOLD", "buy", "", undefined].map((side) => ({ ...LIMIT, transaction_type: side })),
    kept: [{ ...LIMIT, transaction_type: "SELL" }],
  },
  "order_type is one of MARKET, LIMIT, SL, SL-M": {
    broken: ["STOP", "limit", "", undefined].map((order_type) => ({ ...LIMIT, order_type })),
    kept: [MARKET, SL, SLM],
  },
  "product is one of CNC, NRML, MIS, MTF": {
    broken: ["BO", "cnc", "", undefined].map((product) => ({ ...LIMIT, product })),
    kept: ["MIS", "NRML", "MTF"].map((product) => ({ ...LIMIT, product })),
  },
  "validity is one of DAY, IOC, TTL": {
    broken: ["GTC", "day", "FOK", "x"].map((validity) => ({ ...LIMIT, validity })),
    kept: [{ ...LIMIT, validity: "IOC" }, TTL],
  },
  "autoslice is one of true, false": {
    broken: ["yes", "1", "TRUE", "0"].map((autoslice) => ({ ...LIMIT, autoslice })),
    kept: ["true", "false"].map((autoslice) => ({ ...LIMIT, autoslice })),
  },
  "a quantity is an integer above 0": {
    broken: ["0", "-1", "1.5", "x", undefined].map((quantity) => ({ ...LIMIT, quantity })),
    kept: [{ ...LIMIT, quantity: "7" }],
  },
  "a quantity is a multiple of the lot": {
    broken: ["1", "499", "501", "750"].map((quantity) => ({ ...FUTURE, quantity })),
    kept: ["500", "1000"].map((quantity) => ({ ...FUTURE, quantity })),
  },
  "LIMIT and SL have a price above 0": {
    broken: [...["0", "-1", "x", undefined].map((price) => ({ ...LIMIT, price })), {
      ...SL,
      price: undefined,
    }],
    kept: [{ ...MARKET, price: "0" }, { ...MARKET, price: undefined }],
  },
  "SL, SL-M and cover orders have a trigger above 0": {
    broken: [
      ...["0", "-1", "x", undefined].map((trigger_price) => ({ ...SL, trigger_price })),
      { ...SLM, trigger_price: undefined },
      { ...LIMIT, variety: "co" },
    ],
    kept: [SL, SLM, { ...LIMIT, variety: "co", trigger_price: "1390" }],
  },
  "prices are multiples of the tick": {
    broken: [
      ...["1400.01", "1400.06", "1400.024", "0.07"].map((price) => ({ ...LIMIT, price })),
      { ...SL, trigger_price: "1590.03" },
      { ...SLM, trigger_price: "1590.01" },
      { ...FUTURE, quantity: "500", price: "83.001" },
    ],
    kept: [
      ...["1400.05", "1400.15", "0.05", "1234.35"].map((price) => ({ ...LIMIT, price })),
      { ...FUTURE, quantity: "500", price: "83.0025" },
      { ...MARKET, price: "1400.01" }, // no price of a MARKET order counts
    ],
  },
  "the limit of an SL is not on the wrong side of its trigger": {
    broken: [
      { ...SL, price: "1580" },
      { ...SL, price: "1589.95" },
      { ...SL, transaction_type: "SELL", price: "1600" },
      { ...SL, transaction_type: "SELL", price: "1590.05" },
    ],
    kept: [{ ...SL, price: "1590" }, { ...SL, transaction_type: "SELL", price: "1580" }],
  },
  "MARKET and SL-M have market protection: -1, or above 0 to 100": {
    broken: [undefined, "0", "-2", "100.5", "x"].flatMap((market_protection) => [
      { ...MARKET, market_protection },
      { ...SLM, market_protection },
    ]),
    kept: ["-1", "0.5", "2", "100"].map((market_protection) => ({ ...MARKET, market_protection })),
  },
  "a tag has at most 20 characters": {
    broken: [21, 25, 32, 100].map((length) => ({ ...LIMIT, tag: "x".repeat(length) })),
    kept: ["", "x", "x".repeat(20), "my-tag"].map((tag) => ({ ...LIMIT, tag })),
  },
  "an iceberg has 2 to 50 legs": {
    broken: ["1", "0", "51", "2.5", undefined].map((legs) => ({ ...ICEBERG, iceberg_legs: legs })),
    kept: [{ ...ICEBERG, iceberg_legs: "50" }, { ...LIMIT, iceberg_legs: "1" }],
  },
  "the legs of an iceberg are whole lots, and hold all of it": {
    broken: ["0", "9", "1.5", undefined].map((each) => ({ ...ICEBERG, iceberg_quantity: each })),
    kept: [{ ...ICEBERG, iceberg_quantity: "11" }],
  },
  "TTL says how many minutes": {
    broken: ["0", "-1", "0.5", undefined].map((validity_ttl) => ({ ...TTL, validity_ttl })),
    kept: [TTL, { ...TTL, validity_ttl: "60" }],
  },
  "an auction has a number": {
    broken: [...["", undefined].map((auction_number) => ({ ...AUCTION, auction_number })), {
      ...MARKET,
      variety: "auction",
    }, { ...SL, variety: "auction" }],
    kept: [AUCTION],
  },
  "the disclosed quantity is at least 10 % of the quantity, and no more than it": {
    broken: ["1", "101", "9", "10.5"].map((shown) => ({
      ...{ ...LIMIT, quantity: "100", disclosed_quantity: shown },
    })),
    kept: ["0", "10", "100"].map((shown) => ({
      ...{ ...LIMIT, quantity: "100", disclosed_quantity: shown },
    })),
  },
  "a quantity above the freeze limit is sliced, into at most 10 orders": {
    broken: [
      { ...FUTURE, quantity: "10500" },
      { ...FUTURE, quantity: "20000", autoslice: "false" },
      { ...FUTURE, quantity: "100500", autoslice: "true" },
      {
        ...{ ...FUTURE, variety: "iceberg", quantity: "21000" },
        ...{ iceberg_legs: "2", iceberg_quantity: "10500" },
      },
    ],
    kept: [
      { ...FUTURE, quantity: "10000" },
      { ...FUTURE, quantity: "10500", autoslice: "true" },
      { ...FUTURE, quantity: "100000", autoslice: "true" },
    ],
  },
  "the account holds what the order takes": {
    broken: ["667", "1000", "100000", "1000000"].map((quantity) => ({ ...MARKET, quantity })),
    kept: [{ ...MARKET, quantity: "666" }],
  },
};

/** The rule that an order breaks, as its exception and words tell. */
function verdict({ variety = "regular", ...form }: Form): string | undefined {
  const name = `${form.exchange}:${form.tradingsymbol}`;
  const listing = LISTINGS.find(({ id }) => id === name);
  try {
    judge({ variety, form, listing });
  } catch (error) {
    assert(error instanceof Refusal, String(error));
    const broken = RULES.find((rule) => rule.isBroken({ variety, form, listing }))!;
    assertEquals([error.type, error.status], [broken.type, 400]);
    return broken.rule;
  }
}

Deno.test("every rule of Kite's table has its cases, a source and words", () => {
  assertEquals(Object.keys(CASES), RULES.map(({ rule }) => rule));
  assert(RULES.every(({ source }) => /^(kite\.trade|support\.zerodha\.com)/.test(source)));
});

for (const [rule, { broken, kept }] of Object.entries(CASES)) {
  Deno.test(`Kite's table: ${rule}: ${broken.length} orders break it`, () => {
    assert(broken.length >= 4);
    for (const form of broken) assertEquals(verdict(form), rule, JSON.stringify(form));
    for (const form of kept) assertEquals(verdict(form), undefined, JSON.stringify(form));
  });
}

const LIMIT_ORDER = {
  exchange: "NSE",
  tradingsymbol: "INFY",
  transaction_type: "BUY",
  order_type: "LIMIT",
  product: "CNC",
  quantity: 1,
  price: 1_400,
} as const;

const AT_THE_VENUE: [string, Record<string, unknown>, string][] = [
  ["an off-tick price", { price: 1_400.01 }, "InputException"],
  ["an SL without trigger", { order_type: "SL" }, "InputException"],
  ["a tag of 25 characters", { tag: "x".repeat(25) }, "InputException"],
  ["MARKET without protection", { order_type: "MARKET", market_protection: 0 }, "InputException"],
  ["an iceberg of 51 legs", {
    ...{ variety: "iceberg", iceberg_legs: 51, iceberg_quantity: 1 },
  }, "InputException"],
  ["TTL without minutes", { validity: "TTL" }, "InputException"],
  ["more than there is money for", { quantity: 10_000 }, "MarginException"],
];

for (const [what, fields, code] of AT_THE_VENUE) {
  Deno.test(`KiteSimulator refuses ${what}, and the broker says rejected: ${code}`, async () => {
    await using venue = new KiteSimulator({ interval: 0, restInterval: 0, limited: false });
    await using broker = new KiteBroker({ baseUrl: venue.httpUrl });
    await broker.authorize(venue.login);
    const order = { ...LIMIT_ORDER, ...fields } as KiteOrderRequest;
    const error = await assertRejects(() => broker.placeOrder(order), BrokerError);
    assertEquals([error.code, error.kind, error.outcome], [code, "rejected", "rejected"]);
    assertEquals(venue.desk.orders, []);
  });
}

Deno.test("KiteSimulator judges a change as it judges an order", async () => {
  await using venue = new KiteSimulator({ interval: 0, limited: false });
  await using broker = new KiteBroker({ baseUrl: venue.httpUrl });
  await broker.authorize(venue.login);
  const { order_id } = await broker.placeOrder(LIMIT_ORDER);
  for (
    const change of [
      { price: 1_400.01 },
      { quantity: 0 },
      { order_type: "SL" },
      { order_type: "MARKET", market_protection: 0 },
      { validity: "TTL" },
      { disclosed_quantity: 2 },
    ] as const
  ) {
    const error = await assertRejects(() => broker.modifyOrder(order_id, change), BrokerError);
    assertEquals([error.code, error.outcome], ["InputException", "rejected"]);
  }
  assertEquals(venue.desk.executions.modified, 0);
  await broker.modifyOrder(order_id, { order_type: "MARKET" }); // with the default protection
  assertEquals((await broker.orders())[0].status, "COMPLETE");
});
