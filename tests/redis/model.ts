/**
 * The shared count as a plain program: no indexes, no sums that are kept, everything counted again
 * each time. The script must give the same answers; and where no server is wanted, this is one.
 *
 * @module
 */

import type { Answer, Ask } from "../../redis/script.ts";

/** A limit as the script is given it; times in microseconds. */
export interface ModelLimit {
  kind: "start" | "finish";
  limit: number;
  period: number;
  burst?: number;
}

interface Stamp {
  at: number;
  cost: number;
  kind: "start" | "finish";
}

interface Agent {
  n: number;
  answer: Answer;
  start: number;
  finish: number;
}

interface PlaceInLine {
  agent: string;
  id: string;
  cost: number;
  order: number;
}

const KINDS = ["start", "finish"] as const;

/** The count of one key. */
export class Model {
  epoch = "";
  offset = 0;
  last = 0;
  /** The time of the latest step of the server's clock. */
  step = -1;
  pausedUntil = 0;
  granted = 0;
  order = 0;
  readonly agents = new Map<string, Agent>();
  /** The end of the lease of each agent. It may outlive the agent's record. */
  readonly leases = new Map<string, number>();
  line: PlaceInLine[] = [];
  stamps: Stamp[] = [];
  /** How many commands it was given. */
  commands = 0;

  /** Forgets everything, as a server that was restarted. */
  flush(): void {
    Object.assign(this, new Model(), { commands: this.commands });
    this.agents.clear();
    this.leases.clear();
  }

  /** One command at a time of the server's clock. */
  execute(ask: Ask, sure: number, limits: readonly ModelLimit[], time: number): Answer | [] {
    this.commands++;
    const known = this.agents.get(ask.agent);
    if (known && ask.n <= known.n) return ask.n === known.n ? known.answer : [];
    if (this.epoch === "") this.epoch = `${ask.agent}${ask.n}`;
    let isLost = ask.isLost;
    const now = this.#look(time, ask, sure, () => isLost = true);
    const me: Agent = known ?? { n: 0, answer: [] as unknown as Answer, start: 0, finish: 0 };
    this.agents.set(ask.agent, me);
    for (const kind of KINDS) {
      me[kind] = ask[kind].held;
      for (const [cost, age] of ask[kind].told) this.stamps.push({ at: now - age, cost, kind });
    }
    // Renewed once a tenth of a lease has passed.
    if ((this.leases.get(ask.agent) ?? 0) < now + ask.lease * 0.9) {
      this.leases.set(ask.agent, now + ask.lease);
    }
    this.#bury(now);
    const horizon = ask.lease +
      Math.max(...limits.map(({ period, limit, burst = limit }) => period * burst / limit));
    if (isLost) this.pausedUntil = Math.max(this.pausedUntil, now + horizon);
    this.pausedUntil = Math.max(this.pausedUntil, now + ask.pause);
    this.#stand(ask);
    const ids = this.#grant(ask.agent, me, limits, now);
    const isWaiting = this.line.some((place) => place.agent === ask.agent);
    const wait = Math.max(isWaiting ? 1 : 0, Math.ceil(this.#waitOf(ask, limits, now) - now));
    me.n = ask.n;
    me.answer = [this.epoch, now, wait, isLost ? 1 : 0, ...ids];
    return me.answer;
  }

  /** Tokens that are free under a limit. */
  free({ kind, limit, period, burst }: ModelLimit, now: number): number {
    const stamps = this.stamps.filter((stamp) => stamp.kind === kind);
    const held = [...this.agents.values()].reduce((sum, agent) => sum + agent[kind], 0);
    if (burst === undefined) {
      const spent = stamps.filter(({ at }) => at + period > now);
      return limit - held - spent.reduce((sum, { cost }) => sum + cost, 0);
    }
    const missing = Math.max(0, this.#fullAt(limit, period) - now) * limit / period;
    return Math.floor(burst - missing) - held;
  }

  /** Tokens for those in line. A call of cost 0 waits for a pause only. */
  #roomOf(limits: readonly ModelLimit[], now: number): number {
    if (now < this.pausedUntil) return -1;
    return Math.max(0, Math.min(...limits.map((limit) => this.free(limit, now))));
  }

  #fullAt(limit: number, period: number): number {
    return this.stamps.filter(({ kind, cost }) => kind === "start" && cost > 0).reduce(
      (full, { at, cost }) => Math.max(full, at) + cost * period / limit,
      0,
    );
  }

  #look(time: number, ask: Ask, sure: number, lose: () => void): number {
    let now = time + this.offset;
    const isKnown = ask.epoch === this.epoch;
    const isForward = isKnown && now > sure + 250_000;
    if (isForward || now < this.last) {
      const known = isForward && ask.seen > this.step ? sure : 0;
      this.step = Math.max(known, this.last);
      now = this.step + 1;
    }
    if (isKnown && ask.seen > this.last) {
      this.last = ask.seen;
      lose();
    } else if (!isKnown && ask.epoch !== undefined) lose();
    now = Math.max(now, this.last);
    this.offset = now - time;
    return this.last = now;
  }

  #bury(now: number): void {
    const ended = [...this.leases].filter(([, end]) => end <= now);
    for (const [name, end] of ended.sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))) {
      const dead = this.agents.get(name);
      for (const kind of KINDS) {
        if (dead && dead[kind] > 0) this.stamps.push({ at: end, cost: dead[kind], kind });
      }
      this.agents.delete(name);
      this.leases.delete(name);
    }
  }

  #stand({ agent, join, leave }: Ask): void {
    const gone = leave.map((place) => `${agent}:${parseInt(place)}`);
    this.line = this.line.filter((place) => !gone.includes(`${place.agent}:${place.id}`));
    for (const place of join) {
      this.order++;
      const [id, cost] = place.replace("!", "").split(":");
      if (this.line.some((other) => other.agent === agent && other.id === id)) continue;
      const order = place.endsWith("!") ? this.order - 2 ** 52 : this.order;
      this.line.push({ agent, id, cost: Number(cost), order });
    }
    this.line.sort((a, b) => a.order - b.order);
  }

  #grant(name: string, me: Agent, limits: readonly ModelLimit[], now: number): string[] {
    const room = this.#roomOf(limits, now);
    let need = 0;
    const granted: PlaceInLine[] = [];
    // The dead are met on the way only.
    for (const place of [...this.line]) {
      if (!this.leases.has(place.agent)) {
        this.line.splice(this.line.indexOf(place), 1);
        continue;
      }
      need += place.cost;
      if (need > room) break;
      if (place.agent === name) granted.push(place);
    }
    for (const place of granted) {
      this.line.splice(this.line.indexOf(place), 1);
      me.start += place.cost;
      me.finish += place.cost;
      if (place.cost > 0) this.granted = now;
    }
    return granted.map(({ id }) => id);
  }

  /** When the first of ours that waits, or else a newcomer, can be granted at the earliest. */
  #waitOf({ agent, join }: Ask, limits: readonly ModelLimit[], now: number): number {
    const own = join.map((place) => place.split(":")[0]);
    const mine = this.line.filter((place) => place.agent === agent && own.includes(place.id))
      .sort((a, b) => own.indexOf(a.id) - own.indexOf(b.id))[0];
    const before = mine ? this.line.slice(0, this.line.indexOf(mine)) : this.line;
    // Costs are known up to the first that does not fit; behind it each counts 1.
    const room = this.#roomOf(limits, now);
    let need = mine?.cost ?? 1;
    let walked = 0;
    let isKnown = true;
    for (const { cost } of before) {
      need += isKnown ? cost : 1;
      walked += cost;
      isKnown &&= walked <= room;
    }
    return Math.max(
      now,
      this.pausedUntil,
      ...limits.map((limit) => this.#backAt(limit, need, now)),
    );
  }

  #backAt(limit: ModelLimit, need: number, now: number): number {
    const { kind, period, burst } = limit;
    if (burst !== undefined) {
      const held = [...this.agents.values()].reduce((sum, agent) => sum + agent.start, 0);
      const over = need + held - burst;
      const base = over > 0 ? Math.max(this.pausedUntil, this.granted) : 0;
      return Math.max(this.#fullAt(limit.limit, period), base) + over * period / limit.limit;
    }
    let more = need - this.free(limit, now);
    if (more <= 0) return 0;
    const rounds = Math.max(0, Math.ceil(more / limit.limit) - 1);
    more -= rounds * limit.limit;
    const back = this.stamps.filter((stamp) => stamp.kind === kind && stamp.cost > 0)
      .map(({ at, cost }) => ({ at: at + period, cost })).filter(({ at }) => at > now)
      .sort((a, b) => a.at - b.at);
    let at = kind === "finish"
      ? now + Math.max(period, 20_000)
      : Math.max(this.granted + period, now + period / 20);
    for (const stamp of back) {
      more -= stamp.cost;
      if (more > 0) continue;
      at = stamp.at;
      break;
    }
    return Math.max(this.pausedUntil, at) + rounds * period;
  }
}
