import { assertEquals } from "@std/assert";
import { Desk } from "../../../examples/binance/desk.ts";
import { RULES } from "../../../examples/binance/rules.ts";
import { INSTRUMENTS } from "../../../examples/binance/simulator.ts";

const BEST = { bid: "29430.20", ask: "29430.30" };
const ORDER = { symbol: "BTCUSDT", side: "BUY", type: "MARKET", quantity: "0.01" };
const LIMIT = { ...ORDER, type: "LIMIT", timeInForce: "GTC", price: "29000.00" };

/** What the desk says of an order: its status, or the code and the words of its refusal. */
function say(desk: Desk, { ...fields }: Record<string, string>): string {
  const instrument = INSTRUMENTS.find(({ symbol }) => symbol === fields.symbol);
  const said = desk.place(fields, instrument, BEST, 1_000);
  return "code" in said ? `${said.code} ${said.msg}` : said.status;
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
  [{ ...ORDER, newClientOrderId: "a name" }, -1100, "newClientOrderId"],
  [{ ...ORDER, newClientOrderId: "x".repeat(37) }, -1100, "newClientOrderId"],
  [{ ...ORDER, quoteOrderQty: "100" }, -1106, "quoteOrderQty"],
  [{ ...LIMIT, price: "29000.001" }, -1013, "PRICE_FILTER"],
  [{ ...LIMIT, price: "0" }, -1013, "PRICE_FILTER"],
  [{ ...ORDER, quantity: "0.000001" }, -1013, "LOT_SIZE"],
  [{ ...ORDER, quantity: "0" }, -1013, "LOT_SIZE"],
  [{ ...ORDER, quantity: "0.00010" }, -1013, "NOTIONAL"],
  [{ ...LIMIT, price: "499.99" }, -1013, "NOTIONAL"],
  [{ ...LIMIT, type: "LIMIT_MAKER", price: "29430.30" }, -2010, "immediately match"],
  [{ ...LIMIT, type: "LIMIT_MAKER", side: "SELL", price: "29430.20" }, -2010, "immediately match"],
  [{ ...ORDER, quantity: "40" }, -2010, "insufficient balance"],
  [{ ...ORDER, side: "SELL", quantity: "10.00001" }, -2010, "insufficient balance"],
  [{ ...LIMIT, newClientOrderId: "open" }, -2010, "Duplicate"],
];
for (const [order, code, words] of REFUSED) {
  Deno.test(`Desk refuses ${JSON.stringify(order)} with ${code}`, () => {
    const desk = new Desk();
    say(desk, { ...LIMIT, newClientOrderId: "open" });
    const said = say(desk, order);
    assertEquals([said.startsWith(`${code} `), said.includes(words)], [true, true], said);
    assertEquals(desk.trades, []);
  });
}

Deno.test("every rule of the simulated Binance refuses an order of the table above", () => {
  const codes = new Set(REFUSED.map(([, code, words]) => `${code} ${words}`));
  assertEquals(RULES.length <= codes.size, true);
  for (const { code } of RULES) {
    assertEquals([...codes].some((it) => it.startsWith(`${code} `)), true);
  }
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
    ] as [Record<string, string>, string][]
  ) assertEquals(say(new Desk(), order), status, JSON.stringify(order));
});

Deno.test("Desk spends what an order costs, at the price of the other side", () => {
  const desk = new Desk();
  say(desk, { ...ORDER, quantity: "0.5" });
  const free = Object.fromEntries(desk.balances.map(({ asset, free }) => [asset, free]));
  assertEquals([free.BTC, free.USDT], ["10.50000000", "985284.85000000"]);
  say(desk, { ...ORDER, quantity: "", quoteOrderQty: "100" });
  assertEquals(desk.trades[1].qty, "0.00339000"); // never more than was meant
});
