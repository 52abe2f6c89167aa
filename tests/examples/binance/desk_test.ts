import { assertEquals } from "@std/assert";
import { textOf, unitsOf } from "../../../examples/binance/decimals.ts";
import { Desk, type DeskMarket } from "../../../examples/binance/desk.ts";
import { type DeskOrder, type Fields, Refusal } from "../../../examples/binance/desk_order.ts";
import { LIST_RULES, RULES } from "../../../examples/binance/rules.ts";
import { INSTRUMENTS } from "../../../examples/binance/simulator.ts";

const ORDER = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.01" };
const LIMIT = { ...ORDER, type: "LIMIT", timeInForce: "GTC", price: "29000.00" };
const STOP = { ...ORDER, type: "STOP_LOSS", stopPrice: "29500.00" };
const OCO = {
  ...{ symbol: "BTCUSDT", side: "SELL", quantity: "0.01", listClientOrderId: "both" },
  ...{ aboveType: "LIMIT_MAKER", abovePrice: "30000.00", aboveClientOrderId: "above" },
  ...{ belowType: "STOP_LOSS", belowStopPrice: "29000.00", belowClientOrderId: "below" },
};

/** A desk whose market stands where it is put. */
class Fixture {
  market: DeskMarket = marketAt("29430.20", "29430.30");
  readonly desk = new Desk({
    market: (symbol) => symbol === "BTCUSDT" ? this.market : undefined,
    now: () => 1_000,
    tell: ({ order, type }) => this.told.push(`${order.clientOrderId} ${type}`),
  });
  readonly told: string[] = [];

  /** What the desk says of an order: its status, or the code and the words of its refusal. */
  say(fields: Fields): string {
    return this.#said(() => this.desk.place(fields).status);
  }

  /** The same of a list. */
  sayList(fields: Fields): string {
    return this.#said(() => this.desk.placeList(fields).orders.map(({ status }) => status).join());
  }

  /** Moves the market, and lets orders trade. */
  move(bid: string, ask: string, last = bid): void {
    this.market = marketAt(bid, ask, last);
    this.desk.match();
  }

  get statuses(): string[] {
    return [...this.desk.orders.values()].map(({ status }) => status);
  }

  balance(name: string): { free: string; locked: string } {
    const { free, locked } = this.desk.balances.find(({ asset }) => asset === name)!;
    return { free, locked };
  }

  #said(place: () => string): string {
    try {
      return place();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return `${error.code} ${error.message}`;
    }
  }
}

function marketAt(bid: string, ask: string, last = bid): DeskMarket {
  const [instrument] = INSTRUMENTS;
  return { instrument, bid: unitsOf(bid), ask: unitsOf(ask), last: unitsOf(last) };
}

const REFUSED: [order: Record<string, string>, code: number, words: string][] = [
  [{ symbol: "BTCUSDT", side: "BUY" }, -1102, "type"],
  [{ ...LIMIT, price: "" }, -1102, "price"],
  [{ ...LIMIT, timeInForce: "" }, -1102, "timeInForce"],
  [{ ...ORDER, quantity: "" }, -1102, "quantity"],
  [{ ...LIMIT, type: "STOP_LOSS_LIMIT" }, -1102, "stopPrice"],
  [{ ...ORDER, symbol: "FOOBAR" }, -1121, "symbol"],
  [{ ...ORDER, side: "HOLD" }, -1117, "side"],
  [{ ...ORDER, type: "ICEBERG" }, -1116, "orderType"],
  [{ ...LIMIT, timeInForce: "DAY" }, -1115, "timeInForce"],
  [{ ...ORDER, quantity: "1e-2" }, -1100, "characters"],
  [{ ...ORDER, quantity: "0.0100000001" }, -1111, "Precision"],
  [{ ...LIMIT, stopPrice: "30000.00" }, -1106, "stopPrice"],
  [{ ...ORDER, newClientOrderId: "a name" }, -1100, "newClientOrderId"],
  [{ ...ORDER, newClientOrderId: "x".repeat(37) }, -1100, "newClientOrderId"],
  [{ ...ORDER, quoteOrderQty: "100" }, -1106, "quoteOrderQty"],
  [{ ...LIMIT, price: "29000.001" }, -1013, "PRICE_FILTER"],
  [{ ...LIMIT, price: "0" }, -1013, "PRICE_FILTER"],
  [{ ...ORDER, quantity: "0.000001" }, -1013, "LOT_SIZE"],
  [{ ...ORDER, quantity: "0" }, -1013, "LOT_SIZE"],
  [{ ...ORDER, quantity: "9000001" }, -1013, "LOT_SIZE"],
  [{ ...ORDER, quantity: "0.00010" }, -1013, "NOTIONAL"],
  [{ ...LIMIT, price: "499.99" }, -1013, "NOTIONAL"],
  [{ ...LIMIT, type: "LIMIT_MAKER", price: "29430.30" }, -2010, "immediately match"],
  [{ ...LIMIT, type: "LIMIT_MAKER", side: "SELL", price: "29430.20" }, -2010, "immediately match"],
  [{ ...STOP, stopPrice: "29430.10" }, -2010, "trigger immediately"],
  [{ ...STOP, side: "SELL", stopPrice: "29500.00" }, -2010, "trigger immediately"],
  [{ ...ORDER, type: "TAKE_PROFIT", stopPrice: "29500.00" }, -2010, "trigger immediately"],
  [{ ...ORDER, quantity: "40" }, -2010, "insufficient balance"],
  [{ ...ORDER, side: "SELL", quantity: "10.00001" }, -2010, "insufficient balance"],
  [{ ...LIMIT, newClientOrderId: "open" }, -2010, "Duplicate"],
];
for (const [order, code, words] of REFUSED) {
  Deno.test(`Desk refuses ${JSON.stringify(order)} with ${code}`, () => {
    const it = new Fixture();
    it.say({ ...LIMIT, newClientOrderId: "open" });
    const said = it.say(order);
    assertEquals([said.startsWith(`${code} `), said.includes(words)], [true, true], said);
    assertEquals([it.desk.orders.size, it.desk.trades], [1, []]);
  });
}

Deno.test("every rule of the simulated Binance refuses an order of the table above", () => {
  const it = new Fixture();
  it.say({ ...LIMIT, newClientOrderId: "open" });
  const said = REFUSED.map(([order]) => it.say(order));
  const words = (rule: typeof RULES[number]) =>
    typeof rule.msg === "string" ? rule.msg : "Mandatory parameter";
  const unused = RULES.filter((rule) =>
    !said.some((it) => it.startsWith(`${rule.code} ${words(rule)}`))
  );
  assertEquals(unused.map(({ rule }) => rule), []);
});

for (
  const [change, code, words] of [
    [{ aboveType: "TAKE_PROFIT" }, -1102, "stopPrice"],
    [{ belowType: "TAKE_PROFIT" }, -2010, "trigger"],
    [{ aboveType: "STOP_LOSS", aboveStopPrice: "30000.00" }, -2010, "trigger"],
    [{ belowType: "LIMIT_MAKER", belowPrice: "29000.00", belowStopPrice: "" }, -2010, "match"],
    [{ abovePrice: "28000.00" }, -2010, "match"],
    [{ belowStopPrice: "" }, -1102, "stopPrice"],
    [{ quantity: "11" }, -2010, "insufficient balance"],
    [{ side: "BUY", abovePrice: "29500.00" }, -2010, "match"],
  ] as const
) {
  Deno.test(`Desk refuses a list with ${JSON.stringify(change)}`, () => {
    const it = new Fixture();
    const said = it.sayList({ ...OCO, ...change });
    assertEquals([said.startsWith(`${code} `), said.includes(words)], [true, true], said);
    assertEquals([it.desk.orders.size, it.told], [0, []]);
  });
}

Deno.test("LIST_RULES refuse two of one kind, and a last price that is not between", () => {
  const { market } = new Fixture();
  const maker = { type: "LIMIT_MAKER", price: "30000.00" };
  const stop = { type: "STOP_LOSS", stopPrice: "29000.00" };
  const broken = (...legs: Fields[]) =>
    LIST_RULES.filter(({ isBroken }) => isBroken(legs, market)).map(({ code }) => code);
  assertEquals(broken(maker, stop), []);
  assertEquals(broken(maker, maker), [-1014, -2010]);
  assertEquals(broken(maker, { ...stop, stopPrice: "29430.20" }), [-2010]);
  assertEquals(broken({ ...maker, price: "29430.20" }, stop), [-2010]);
});

Deno.test("Desk takes what the venue takes, and leaves nothing of IOC and FOK in the book", () => {
  for (
    const [order, status] of [
      [ORDER, "FILLED"],
      [{ ...ORDER, quantity: "", quoteOrderQty: "100" }, "FILLED"],
      [LIMIT, "NEW"],
      [{ ...LIMIT, price: "29430.30" }, "FILLED"],
      [{ ...LIMIT, timeInForce: "IOC" }, "EXPIRED"],
      [{ ...LIMIT, timeInForce: "FOK" }, "EXPIRED"],
      [{ ...LIMIT, timeInForce: "IOC", price: "29430.30" }, "FILLED"],
      [{ ...LIMIT, type: "LIMIT_MAKER", timeInForce: "GTC" }, "NEW"],
      [{ ...LIMIT, type: "STOP_LOSS_LIMIT", stopPrice: "30000.00" }, "NEW"],
      [{ ...STOP, type: "TAKE_PROFIT", stopPrice: "29000.00" }, "NEW"],
    ] as [Fields, string][]
  ) assertEquals(new Fixture().say(order), status, JSON.stringify(order));
});

Deno.test("Desk spends what an order costs, and sets aside what an open one may", () => {
  const it = new Fixture();
  it.say({ ...ORDER, quantity: "0.5" });
  assertEquals(it.balance("BTC"), { free: "10.50000000", locked: "0.00000000" });
  assertEquals(it.balance("USDT").free, "985284.85000000");
  it.say({ ...ORDER, quantity: "", quoteOrderQty: "100" });
  assertEquals(it.desk.trades[1].qty, "0.00339000"); // never more than was meant
  it.say({ ...LIMIT, side: "SELL", price: "30000.00", quantity: "10" });
  assertEquals(it.balance("BTC"), { free: "0.50339000", locked: "10.00000000" });
  assertEquals(it.say({ ...ORDER, side: "SELL", quantity: "1" }).split(" ")[0], "-2010");
});

Deno.test("Desk fills an open order in parts, and to the end once the market comes", () => {
  const it = new Fixture();
  it.say({ ...LIMIT, newClientOrderId: "mine" });
  const order = it.desk.find({ symbol: "BTCUSDT", origClientOrderId: "mine" }) as DeskOrder;
  it.desk.fill(order, unitsOf("0.004"));
  assertEquals([order.status, textOf(order.left)], ["PARTIALLY_FILLED", "0.00600000"]);
  it.move("28999.00", "29000.00");
  assertEquals([order.status, order.left], ["FILLED", 0n]);
  assertEquals(it.desk.trades.map(({ qty, price, isMaker }) => [qty, price, isMaker]), [
    ["0.00400000", "29000.00000000", true],
    ["0.00600000", "29000.00000000", true],
  ]);
  assertEquals(it.told, ["mine NEW", "mine TRADE", "mine TRADE"]);
});

Deno.test("Desk triggers a stop by the last price, at the market or at its limit", () => {
  const it = new Fixture();
  it.say(STOP);
  it.say({ ...LIMIT, type: "STOP_LOSS_LIMIT", price: "29400.00", stopPrice: "29500.00" });
  it.move("29499.00", "29501.00", "29499.99");
  assertEquals(it.statuses, ["NEW", "NEW"]);
  it.move("29499.00", "29501.00", "29500.00");
  assertEquals(it.statuses, ["FILLED", "NEW"]);
  assertEquals(it.desk.trades[0].price, "29501.00000000");
  it.move("29398.00", "29399.00");
  assertEquals(it.statuses, ["FILLED", "FILLED"]);
});

Deno.test("Desk ends the other order of a list once one trades, or is cancelled", () => {
  for (
    const [happen, statuses] of [
      [(it: Fixture) => it.move("30001.00", "30002.00"), ["FILLED", "EXPIRED"]],
      [(it: Fixture) => it.move("28999.00", "29000.00", "29000.00"), ["EXPIRED", "FILLED"]],
      [(it: Fixture) => void it.desk.cancel(it.desk.open[1]), ["CANCELED", "CANCELED"]],
    ] as [(it: Fixture) => void, string[]][]
  ) {
    const it = new Fixture();
    assertEquals(it.sayList(OCO), "NEW,NEW");
    assertEquals(it.balance("BTC").locked, "0.01000000"); // only one of the two can trade
    happen(it);
    assertEquals(it.statuses, statuses);
  }
});
