/**
 * What is seen of a history: the trace, the counts, the secrets, and what was found wrong.
 *
 * @module
 */

import { hashOf } from "./dice.ts";

/** Texts that hold a secret, in the spellings in which venues send texts back. */
function spellings(secret: string): string[] {
  const hex = [...secret].map((letter) => letter.charCodeAt(0).toString(16));
  return [
    secret,
    secret.toLowerCase(),
    encodeURIComponent(secret),
    hex.map((code) => `&#x${code};`).join(""),
    hex.map((code) => `\\u00${code}`).join(""),
    btoa(secret),
  ];
}

/** Sees a history. */
export class Witness {
  /** What happened, in order, with the milliseconds since the beginning. */
  readonly lines: string[] = [];
  /** How often each thing happened. */
  readonly counts: Map<string, number> = new Map();
  /** What was found wrong. */
  readonly faults: string[] = [];
  readonly #secrets: string[] = [];
  /** Waits of the processes, so that the wall does not blame the library. */
  suspended = 0;

  /** Takes down what happens. */
  note(line: string): void {
    this.lines.push(`${performance.now().toFixed(3)} ${line}`);
  }

  /** Counts something. */
  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** Takes down that a promise is broken. */
  fault(words: string): void {
    this.faults.push(words);
    this.note(`WRONG ${words}`);
  }

  /** Learns of a text that must not be shown. */
  hide(secret: string): void {
    this.#secrets.push(...spellings(secret));
  }

  /** Looks for secrets in whatever a program may log. */
  show(where: string, value: unknown): void {
    const text = wordsOf(value);
    if (this.#secrets.some((secret) => text.includes(secret))) {
      this.fault(`a secret is shown by ${where}: ${text.slice(0, 300)}`);
    }
  }

  /** The hash of the trace. Lines of the same moment count in any order. */
  get hash(): string {
    const first = this.lines.map((line) => hashOf(line));
    const sorted = [...this.lines].sort();
    const low = sorted.reduce((hash, line) => hashOf(line, hash), first.length);
    const high = sorted.reduce((hash, line) => hashOf(line, hash), ~first.length);
    return low.toString(16).padStart(8, "0") + high.toString(16).padStart(8, "0");
  }
}

/** All texts in a value: of errors also the message, the stack and the cause. */
function wordsOf(value: unknown, seen: Set<unknown> = new Set()): string {
  if (typeof value !== "object" || value === null) return String(value);
  if (seen.has(value)) return "";
  seen.add(value);
  if (value instanceof Map || value instanceof Set) return wordsOf([...value], seen);
  return Object.getOwnPropertyNames(value)
    .map((name) => `${name} ${wordsOf((value as Record<string, unknown>)[name], seen)}`)
    .join(" ");
}
