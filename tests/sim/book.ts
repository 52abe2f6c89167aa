/**
 * The venue's side of orders: logins, a book of orders, its clock.
 *
 * @module
 */

import { reply, type SimulatedVenue, type VenueReply, type VenueRequest } from "../../testing.ts";
import type { Dice } from "./dice.ts";
import type { Setting } from "./history.ts";
import type { Item } from "./market.ts";
import type { Witness } from "./witness.ts";

/** An execution of an order or a cancel, by the request that brought it. */
export interface Execution {
  /** The order, or the cancel. */
  readonly id: string;
  /** The request or the frame. */
  readonly request: object;
}

/** The book of a venue. */
export class Book {
  /** What was executed, in order. */
  readonly executions: Execution[] = [];
  /** What the venue has taken up of orders, refused ones too. */
  readonly heard: Set<string> = new Set();
  readonly #orders: { id: string }[] = [];
  readonly #dice: Dice;
  readonly #setting: Setting;
  readonly #witness: Witness;
  readonly #tokens = new Map<number, string>();
  #token: { value: string; until: number } = { value: "", until: 0 };

  /** Opens the book of a venue. */
  constructor(
    venue: SimulatedVenue,
    items: (since: number, symbols: string[]) => Item[],
    { dice, setting, witness }: { dice: Dice; setting: Setting; witness: Witness },
  ) {
    this.#dice = dice;
    this.#setting = setting;
    this.#witness = witness;
    const on = (route: string, handler: (request: VenueRequest) => object) =>
      venue.on(route, (request) => answer(request, 200, handler(request)));
    on("POST /login", ({ headers }) => this.#logIn(Number(headers.get("x-number"))));
    on("POST /orders", (request) => this.#placed(request));
    on("DELETE /orders/:id", (request) => this.#changed(request));
    on("PUT /orders/:id", (request) => this.#changed(request));
    on("GET /orders", (request) => {
      this.#admit(request);
      return { orders: this.#orders };
    });
    on("GET /time", () => ({ now: this.now }));
    on("GET /items", ({ query }) => {
      return { items: items(Number(query.get("since")), query.getAll("symbol")) };
    });
  }

  /** The venue's time, in epoch milliseconds. */
  get now(): number {
    return 1_700_000_000_000 + performance.now() * (1 + this.#setting.drift / 1e6);
  }

  /** Executes an order. */
  execute(id: string, request: object): { id: string } {
    this.heard.add(id);
    this.executions.push({ id, request });
    this.#orders.push({ id });
    this.#witness.note(`venue executes ${id}`);
    return { id };
  }

  /** The token that the answer to a request holds, or nothing. */
  tokenOf(number: number): string {
    return this.#tokens.get(number) ?? "";
  }

  /** Ends the login. */
  expire(): void {
    this.#token.until = 0;
  }

  #logIn(number: number): object {
    const value = `T0k+${Math.floor(this.#dice.next() * 1e9).toString(36)}/Qq${
      this.#dice.int(1e6, 9e6)
    }`;
    this.#token = { value, until: performance.now() + this.#setting.tokenLife };
    this.#tokens.set(number, value);
    return { token: value };
  }

  #placed(request: VenueRequest): object {
    this.#admit(request);
    const { id, quantity } = request.json();
    this.heard.add(id);
    if (quantity <= 0) throw answer(request, 422, { error: "quantity" });
    return this.execute(id, request);
  }

  /** Cancels or amends. */
  #changed(request: VenueRequest): object {
    this.#admit(request);
    const id = request.headers.get("x-tag")!;
    this.heard.add(id);
    if (!this.#orders.some(({ id }) => id === request.params.id)) {
      throw answer(request, 404, { error: "no such order" });
    }
    this.executions.push({ id, request });
    this.#witness.note(`venue executes ${id}`);
    return { changed: request.params.id };
  }

  #admit(request: VenueRequest): void {
    const { value, until } = this.#token;
    const isKnown = request.headers.get("authorization") === `Bearer ${value}`;
    if (!isKnown || performance.now() >= until) throw answer(request, 401, { error: "log in" });
  }
}

/** An answer that says which call it is made for. */
function answer({ headers }: VenueRequest, status: number, body: object): VenueReply {
  const tag = headers.get("x-tag") ?? "";
  return reply(status, { ...body, for: tag }, { "x-for": tag });
}
