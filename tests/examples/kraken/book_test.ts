import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Book, checksum, parse } from "../../../examples/kraken/book.ts";
import type { Level, Sides } from "../../../examples/levels.ts";
import { recording } from "./recording.ts";

/** The worked example of Kraken's guide "Book checksum (WebSocket v2)". */
const GUIDE = `{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[
{"price":45283.5,"qty":0.10000000},{"price":45283.4,"qty":1.54582015},{"price":45282.1,"qty":0.10000000},
{"price":45281.0,"qty":0.10000000},{"price":45280.3,"qty":1.54592586},{"price":45279.0,"qty":0.07990000},
{"price":45277.6,"qty":0.03310103},{"price":45277.5,"qty":0.30000000},{"price":45277.3,"qty":1.54602737},
{"price":45276.6,"qty":0.15445238}],"asks":[{"price":45285.2,"qty":0.00100000},
{"price":45286.4,"qty":1.54571953},{"price":45286.6,"qty":1.54571109},{"price":45289.6,"qty":1.54560911},
{"price":45290.2,"qty":0.15890660},{"price":45291.8,"qty":1.54553491},{"price":45294.7,"qty":0.04454749},
{"price":45296.1,"qty":0.35380000},{"price":45297.5,"qty":0.09945542},{"price":45299.5,"qty":0.18772827}],
"checksum":3310070434}]}`;

Deno.test("checksum() gives the result of Kraken's worked example", () => {
  const [example] = parse(GUIDE).data;
  assertEquals(checksum(example), 3310070434);
  assertEquals(example.checksum, 3310070434);
});

Deno.test("Book.checksum() covers the ten best levels, whatever the depth", () => {
  const [example] = parse(GUIDE).data as Sides[];
  const book = new Book(25);
  book.snapshot(example);
  book.update({
    bids: [{ price: "45000.0", qty: "1.00000000" }],
    asks: [{ price: "46000.0", qty: "1.00000000" }],
  });
  assertEquals(book.bids.length, 11);
  assertEquals(book.checksum(), 3310070434);
});

Deno.test("Book.checksum() does not depend on the order of a snapshot's levels", () => {
  const [{ bids, asks }] = parse(GUIDE).data as Sides[];
  const book = new Book(10);
  book.snapshot({ bids: [...bids].reverse(), asks: [...asks].reverse() });
  assertEquals(book.checksum(), 3310070434);
});

Deno.test("checksum() ignores the point and the leading zeros, not the trailing ones", () => {
  const level = (price: string, qty: string): Sides => ({ bids: [], asks: [{ price, qty }] });
  assertEquals(checksum(level("0.05000", "0.00000304")), checksum(level("5000", "304")));
  assert(checksum(level("0.05000", "1.0")) !== checksum(level("0.05", "1.0")));
  // CRC32 of nothing is 0, of "123456789" is the check value of its specification.
  assertEquals(checksum({ bids: [], asks: [] }), 0);
  assertEquals(checksum(level("1234.5", "6789")), 0xcbf43926);
});

Deno.test("parse() leaves decimals as text and the rest as JSON.parse would", () => {
  assertEquals(
    parse('{"price":1.10,"qty": 0,"checksum":42,"trade_id":7,"timestamp":"15:30:00.10","ok":true}'),
    { price: "1.10", qty: "0", checksum: 42, trade_id: 7, timestamp: "15:30:00.10", ok: true },
  );
  assertEquals(parse('{"price":1e-8,"change":-0.50}'), { price: "1e-8", change: "-0.50" });
});

Deno.test("parse() keeps a connection_id beyond 2 ** 53 exact", () => {
  assertEquals(
    parse('{"connection_id":12393906104898154338}').connection_id,
    "12393906104898154338",
  );
});

Deno.test("parse() does not touch what strings contain", () => {
  const strings = { error: 'got "price":1.50, "qty":2', price: "1.5", 'a"b': '{"price":3.0}' };
  assertEquals(parse(JSON.stringify(strings)), strings);
});

Deno.test("parse() throws a SyntaxError for a cut frame", () => {
  assertThrows(() => parse('{"channel":"book","data":[{"price":1.'), SyntaxError);
});

Deno.test("Book.update() removes a level whose quantity is 0", () => {
  const book = ladder(3);
  book.update({
    bids: [{ price: "99.0", qty: "0.00000000" }],
    asks: [{ price: "101.0", qty: "0" }],
  });
  assertEquals(prices(book.bids), ["98.0", "97.0"]);
  assertEquals(prices(book.asks), ["102.0", "103.0"]);
});

Deno.test("Book.update() ignores the removal of a level it does not have", () => {
  const book = ladder(3);
  book.update({ bids: [{ price: "98.5", qty: "0.0" }], asks: [] });
  assertEquals(prices(book.bids), ["99.0", "98.0", "97.0"]);
});

Deno.test("Book.update() replaces the quantity of a level it has", () => {
  const book = ladder(3);
  book.update({ bids: [], asks: [{ price: "102.0", qty: "7.50" }] });
  assertEquals(book.asks[1], { price: "102.0", qty: "7.50" });
});

Deno.test("Book.update() cuts each side at the depth, after all changes of the update", () => {
  const book = ladder(3);
  // The insertion alone would push 103.0 out; the removal in the same update makes room for it.
  book.update({
    bids: [{ price: "99.5", qty: "1.0" }],
    asks: [{ price: "100.5", qty: "1.0" }, { price: "101.0", qty: "0.0" }],
  });
  assertEquals(prices(book.bids), ["99.5", "99.0", "98.0"]);
  assertEquals(prices(book.asks), ["100.5", "102.0", "103.0"]);
});

Deno.test("Book.update() applies several changes to one price in their order", () => {
  const book = ladder(3);
  book.update({
    bids: [{ price: "99.0", qty: "0.0" }, { price: "99.0", qty: "2.0" }],
    asks: [{ price: "101.0", qty: "5.0" }, { price: "101.0", qty: "0.0" }],
  });
  assertEquals(book.bids[0], { price: "99.0", qty: "2.0" });
  assertEquals(prices(book.asks), ["102.0", "103.0"]);
});

Deno.test("Book.update() never changes an array that a reader was given", () => {
  const book = ladder(3);
  const { bids, asks } = book;
  book.update({ bids: [{ price: "99.0", qty: "0.0" }], asks: [] });
  assertEquals(prices(bids), ["99.0", "98.0", "97.0"]);
  assertStrictEquals(book.asks, asks, "an untouched side is not copied");
});

Deno.test("Book.snapshot() forgets what was there before", () => {
  const book = ladder(3);
  book.snapshot({ bids: [{ price: "1.0", qty: "1.0" }], asks: [] });
  assertEquals(prices(book.bids), ["1.0"]);
  assertEquals(book.asks, []);
});

Deno.test("Book refuses a depth that is not an integer >= 1", () => {
  for (const depth of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => new Book(depth), RangeError, `depth is ${depth}, wanted an integer >= 1`);
  }
});

Deno.test("Book equals a plain map, sorted and cut, after any updates", () => {
  const changes = fc.array(
    fc.record({ tick: fc.integer({ min: 1, max: 40 }), lots: fc.integer({ min: 0, max: 3 }) }),
    { maxLength: 6 },
  );
  const updates = fc.array(fc.record({ bids: changes, asks: changes }), { maxLength: 40 });
  fc.assert(fc.property(updates, fc.integer({ min: 1, max: 12 }), (sequence, depth) => {
    const book = new Book(depth);
    const model = { bids: new Map<number, string>(), asks: new Map<number, string>() };
    for (const update of sequence) {
      const level = ({ tick, lots }: { tick: number; lots: number }): Level => ({
        price: (tick / 10).toFixed(1),
        qty: lots.toFixed(2),
      });
      book.update({ bids: update.bids.map(level), asks: update.asks.map(level) });
      for (const [side, sign] of [["bids", -1], ["asks", 1]] as const) {
        for (const { tick, lots } of update[side]) {
          if (lots === 0) model[side].delete(tick);
          else model[side].set(tick, lots.toFixed(2));
        }
        const sorted = [...model[side]].sort(([a], [b]) => sign * (a - b)).slice(0, depth);
        model[side] = new Map(sorted);
        const expected = sorted.map(([tick, qty]) => ({ price: (tick / 10).toFixed(1), qty }));
        assertEquals(book[side], expected);
      }
    }
  }));
});

Deno.test({
  name: "Book matches all 510 checksums of a recording of the venue",
  ignore: recording === undefined,
  fn() {
    const book = new Book(10);
    let matched = 0;
    for (const line of recording ?? []) {
      const { type, data: [data] } = parse(line);
      if (type === "snapshot") book.snapshot(data);
      else book.update(data);
      if (book.checksum() === data.checksum) matched++;
    }
    assertEquals(matched, 510);
  },
});

/** Bids 99, 98, … and asks 101, 102, …, of one unit each. */
function ladder(depth: number): Book {
  const book = new Book(depth);
  const levels = (sign: number) =>
    Array.from({ length: depth }, (_, i) => ({
      price: (100 + sign * (i + 1)).toFixed(1),
      qty: "1.00",
    }));
  book.snapshot({ bids: levels(-1), asks: levels(1) });
  return book;
}

function prices(levels: readonly Level[]): string[] {
  return levels.map((level) => level.price);
}
