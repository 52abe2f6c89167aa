/**
 * The error of an answer that is not what was asked for. Internal to {@linkcode Session}.
 *
 * @module
 */

import type { BrokerErrorInit, BrokerErrorKind } from "../common/broker_error.ts";

/** What an error knows beyond its kind. */
export interface Details extends Partial<BrokerErrorInit> {
  /** Whether a repeat may help, where it is allowed. */
  worthwhile?: boolean | undefined;
  /** A sentence of its own. */
  message?: string | undefined;
}

/** An answer that is not what was asked for. */
export class ReplyError extends Error {
  /** `"ReplyError"`. */
  override readonly name: string = "ReplyError";
  /** What is wrong with it. */
  readonly kind: BrokerErrorKind;
  /** What follows from that. */
  readonly details: Details;
  /** What it says, as far as that is known. */
  readonly text: string;

  /** Creates an error whose message completes the sentence "Cannot POST https://…: …". */
  constructor(message: string, kind: BrokerErrorKind, details: Details = {}, text = "") {
    super(message);
    this.kind = kind;
    this.details = details;
    this.text = text;
  }
}

/** The name of an error, which is all of it that is safe to show. */
export function nameOf(error: unknown): string {
  const { name } = Object(error);
  return typeof name === "string" && /^\w{1,64}$/.test(name)
    ? name
    : "something else than an Error";
}
