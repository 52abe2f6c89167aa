import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Book, type DepthEvent, type DepthLevel } from "../../../examples/binance/book.ts";
import { merge } from "../../../examples/levels.ts";

const SNAPSHOT = {
  lastUpdateId: 100,
  bids: [["9.9", "1.0"], ["9.8", "2.0"]],
  asks: [["10.0", "3.0"], ["10.1", "4.0"]],
} as const;

/** An event that changes the best bid to a quantity that tells which event it was. */
function event(U: number, u: number): DepthEvent {
  return { U, u, b: [["9.9", `${u}.0`]], a: [] };
}

function best(book: Book): string {
  return book.bids[0].qty;
}

// Of the snapshot's lastUpdateId, 100, and one event that waits for it: what becomes of both.
for (
  const [U, u, isTaken, updateId, why] of [
    [90, 99, true, 100, "it ends before the snapshot does"],
    [90, 100, true, 100, "u = lastUpdateId: it is in the snapshot"],
    [90, 101, true, 101, "u = lastUpdateId + 1: one change is new"],
    [100, 101, true, 101, "U = lastUpdateId"],
    [101, 101, true, 101, "U = lastUpdateId + 1 = u: it follows at once"],
    [101, 120, true, 120, "U = lastUpdateId + 1"],
    [102, 102, false, undefined, "U = lastUpdateId + 2: change 101 is missing"],
    [102, 120, false, undefined, "U = lastUpdateId + 2: change 101 is missing"],
  ] as const
) {
  Deno.test(`Book.snapshot() with an event ${U} to ${u} before it: ${why}`, () => {
    const book = new Book();
    assertEquals(book.update(event(U, u)), "ahead");
    assertEquals(book.snapshot(SNAPSHOT), isTaken);
    assertEquals(book.updateId, updateId);
    if (isTaken) assertEquals(best(book), updateId === 100 ? "1.0" : `${u}.0`);
    else assertEquals([book.bids, book.asks], [[], []]);
    assertEquals(book.isBehind, !isTaken);
  });

  Deno.test(`Book.update() with an event ${U} to ${u} after the snapshot: ${why}`, () => {
    const book = new Book();
    book.snapshot(SNAPSHOT);
    assertEquals(book.update(event(U, u)), !isTaken ? "ahead" : u <= 100 ? "old" : "applied");
    assertEquals(book.updateId, isTaken ? Math.max(100, u) : 100);
    assertEquals(best(book), isTaken && u > 100 ? `${u}.0` : "1.0");
  });
}

// After an event that ended with 110.
for (
  const [U, u, result] of [
    [105, 109, "old"],
    [105, 110, "old"],
    [110, 111, "applied"],
    [111, 111, "applied"],
    [111, 115, "applied"],
    [112, 115, "ahead"],
  ] as const
) {
  Deno.test(`Book.update() after u = 110 takes an event ${U} to ${u} as ${result}`, () => {
    const book = new Book();
    book.snapshot(SNAPSHOT);
    book.update(event(101, 110));
    assertEquals(book.update(event(U, u)), result);
    assertEquals(book.updateId, result === "applied" ? u : 110);
    assertEquals(best(book), result === "applied" ? `${u}.0` : "110.0");
    assertEquals(book.isBehind, result === "ahead");
  });
}

Deno.test("Book.update() takes an event that was ahead once the one in between has come", () => {
  const book = new Book();
  book.snapshot(SNAPSHOT);
  assertEquals(book.update(event(111, 112)), "ahead");
  assertEquals(book.update(event(106, 110)), "ahead");
  assertEquals([book.updateId, book.isBehind], [100, true]);
  assertEquals(book.update(event(101, 105)), "applied");
  assertEquals([book.updateId, book.isBehind, best(book)], [112, false, "112.0"]);
});

Deno.test("Book.snapshot() is refused while a change is missing between the events at hand", () => {
  const book = new Book();
  book.update(event(101, 105));
  book.update(event(107, 110));
  assertEquals(book.snapshot(SNAPSHOT), false);
  assertEquals(book.updateId, undefined);
  assertEquals(book.snapshot({ ...SNAPSHOT, lastUpdateId: 106 }), true);
  assertEquals([book.updateId, best(book)], [110, "110.0"]);
});

Deno.test("Book.snapshot() takes events that two connections told in any order and more than once", () => {
  const book = new Book();
  for (const [U, u] of [[111, 112], [101, 110], [103, 104], [101, 105]]) book.update(event(U, u));
  assertEquals(book.snapshot(SNAPSHOT), true);
  assertEquals([book.updateId, best(book), book.isBehind], [112, "112.0", false]);
});

Deno.test("Book.reset() forgets the book, but not the events that were ahead of it", () => {
  const book = new Book();
  book.snapshot(SNAPSHOT);
  book.update(event(103, 104));
  book.reset();
  assertEquals([book.updateId, book.bids, book.asks], [undefined, [], []]);
  assertEquals(book.snapshot({ ...SNAPSHOT, lastUpdateId: 102 }), true);
  assertEquals([book.updateId, best(book)], [104, "104.0"]);
});

Deno.test("Book.update() removes, changes and adds levels, and leaves the arrays it gave away", () => {
  const book = new Book();
  book.snapshot(SNAPSHOT);
  const { bids, asks } = book;
  book.update({
    U: 101,
    u: 104,
    b: [["9.9", "0.00"], ["9.85", "5.0"], ["9.7", "0"]],
    a: [["10.0", "6.0"], ["10.05", "7.0"]],
  });
  assertEquals(book.bids, [{ price: "9.85", qty: "5.0" }, { price: "9.8", qty: "2.0" }]);
  assertEquals(book.asks.map(({ price, qty }) => [price, qty]), [
    ["10.0", "6.0"],
    ["10.05", "7.0"],
    ["10.1", "4.0"],
  ]);
  assertEquals([bids.length, bids[0].price, asks.length], [2, "9.9", 2]);
});

Deno.test("Book.reach tells how many levels can be relied on where the snapshot was cut", () => {
  const book = new Book();
  book.snapshot(SNAPSHOT, 3);
  assertEquals(book.reach, Infinity, "it held less than was asked for: it is the whole book");
  book.snapshot(SNAPSHOT, 2);
  assertEquals(book.reach, 2);
  book.update({ U: 101, u: 103, b: [["9.85", "1.0"], ["9.7", "1.0"]], a: [["10.2", "1.0"]] });
  assertEquals(book.bids.map((level) => level.price), ["9.9", "9.85", "9.8"]);
  assertEquals(book.asks.length, 2, "what is beyond is left out: what lies between is not known");
  assertEquals(book.reach, 2);
  book.update({ U: 104, u: 104, b: [], a: [["10.0", "0"]] });
  assertEquals(book.reach, 1);
});

Deno.test("Book keeps the latest 5000 events while there is no snapshot", () => {
  const book = new Book();
  for (let id = 1; id <= 5_001; id++) book.update(event(id, id));
  assertEquals(book.snapshot({ ...SNAPSHOT, lastUpdateId: 0 }), false);
  assertEquals(book.snapshot({ ...SNAPSHOT, lastUpdateId: 1 }), true);
  assertEquals(book.updateId, 5_001);
});

/** A venue whose every state is remembered. */
class Venue {
  id = 1_000;
  readonly changes: { side: "a" | "b"; level: DepthLevel }[] = [];
  readonly states = new Map<number, { bids: DepthLevel[]; asks: DepthLevel[] }>();
  #bids = new Map<number, number>([[99, 1], [98, 1], [97, 1]]);
  #asks = new Map<number, number>([[101, 1], [102, 1], [103, 1]]);

  constructor() {
    this.states.set(this.id, this.#state());
  }

  change(isBid: boolean, distance: number, qty: number): void {
    const price = isBid ? 99 - distance : 101 + distance;
    const side = isBid ? this.#bids : this.#asks;
    if (qty === 0) side.delete(price);
    else side.set(price, qty);
    this.changes.push({ side: isBid ? "b" : "a", level: [String(price), String(qty)] });
    this.states.set(++this.id, this.#state());
  }

  /** The changes from U to u, of each level only the last. */
  event(U: number, u: number): DepthEvent {
    const of = (side: "a" | "b") => [
      ...new Map(
        this.changes.slice(U - 1_001, u - 1_000).filter((it) => it.side === side)
          .map(({ level }) => [level[0], level]),
      ).values(),
    ];
    return { U, u, b: of("b"), a: of("a") };
  }

  #state() {
    const levels = (side: Map<number, number>, order: number) =>
      [...side].sort(([a], [b]) => order * (a - b))
        .map(([price, qty]): DepthLevel => [String(price), String(qty)]);
    return { bids: levels(this.#bids, -1), asks: levels(this.#asks, 1) };
  }
}

/** What can happen, in any order: changes, events and snapshots that are made, and those that arrive. */
const steps = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constant("change" as const),
      isBid: fc.boolean(),
      distance: fc.nat(5),
      qty: fc.nat(3),
    }),
    fc.record({ type: fc.constant("event" as const), client: fc.nat(1), isLost: fc.boolean() }),
    fc.record({ type: fc.constant("deliver" as const), pick: fc.nat(9) }),
    fc.record({ type: fc.constant("ask" as const) }),
    fc.record({ type: fc.constant("answer" as const), pick: fc.nat(9) }),
  ),
  { maxLength: 120 },
);

for (const limit of [Infinity, 2]) {
  Deno.test(`Book is equal to the venue's after any gaps, delays and reorderings (limit ${limit})`, () => {
    let shown = 0;
    fc.assert(
      fc.property(steps, (steps) => {
        const venue = new Venue();
        const book = new Book();
        const events: DepthEvent[] = [];
        const snapshots: number[] = [];
        const told = [1_000, 1_000]; // what each of two connections has been told of
        const check = () => {
          if (book.updateId === undefined) return;
          shown++;
          const { bids, asks } = venue.states.get(book.updateId)!;
          const known = (side: readonly DepthLevel[], edge: number, order: 1 | -1) =>
            side.filter(([price]) => order * Number(price) <= order * edge);
          assertEquals(texts(book.bids), known(bids, edges.floor, -1));
          assertEquals(texts(book.asks), known(asks, edges.ceiling, 1));
        };
        let edges = { floor: -Infinity, ceiling: Infinity };
        const answer = (id: number) => {
          const state = venue.states.get(id)!;
          const [bids, asks] = [state.bids.slice(0, limit), state.asks.slice(0, limit)];
          if (!book.snapshot({ lastUpdateId: id, bids, asks }, limit)) return false;
          edges = {
            floor: bids.length < limit ? -Infinity : Number(bids.at(-1)![0]),
            ceiling: asks.length < limit ? Infinity : Number(asks.at(-1)![0]),
          };
          return true;
        };
        for (const step of steps) {
          if (step.type === "change") venue.change(step.isBid, step.distance, step.qty);
          else if (step.type === "ask") snapshots.push(venue.id);
          else if (step.type === "event" && told[step.client] < venue.id) {
            const made = venue.event(told[step.client] + 1, venue.id);
            told[step.client] = venue.id;
            if (!step.isLost) events.push(made);
          } else if (step.type === "deliver" && events.length > 0) {
            book.update(events.splice(step.pick % events.length, 1)[0]);
          } else if (step.type === "answer" && snapshots.length > 0) {
            // A book that stands is not given an older snapshot: it would be one without the changes between.
            const [id] = snapshots.splice(step.pick % snapshots.length, 1);
            if (book.updateId === undefined || book.isBehind) {
              book.reset();
              answer(id);
            }
          }
          check();
        }
        // In the end everything arrives, and a last snapshot.
        for (const event of events) book.update(event);
        check();
        book.reset();
        assert(answer(venue.id), "the latest snapshot can always be gone on from");
        assertEquals(book.updateId, venue.id);
        check();
      }),
      { numRuns: 500 },
    );
    assert(shown > 100, `only ${shown} books were compared`);
  });
}

Deno.test("merge() keeps a side sorted by number, whichever way it goes", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 30 }), fc.nat(2)), { maxLength: 60 }),
      fc.constantFrom(1 as const, -1 as const),
      (changes, order) => {
        const levels = changes.map(([price, qty]) => ({
          price: (price / 2).toFixed(1),
          qty: String(qty),
        }));
        const wanted = new Map(levels.map((level) => [level.price, level]));
        for (const [price, { qty }] of wanted) if (qty === "0") wanted.delete(price);
        assertEquals(
          merge([], levels, order),
          [...wanted.values()].sort((a, b) => order * (Number(a.price) - Number(b.price))),
        );
      },
    ),
  );
});

function texts(side: readonly { price: string; qty: string }[]): DepthLevel[] {
  return side.map(({ price, qty }) => [price, qty]);
}
