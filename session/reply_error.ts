/**
 * The error of an answer that is unfit. Internal to {@linkcode Session}.
 *
 * @module
 */

import type { BrokerErrorInit, BrokerErrorKind } from "../common/broker_error.ts";

/** Details of an error beyond its kind. */
export interface Details extends Partial<BrokerErrorInit> {
  /** Whether a repeat may help, where it is allowed. */
  worthwhile?: boolean | undefined;
  /** A sentence of its own. */
  message?: string | undefined;
}

/** An answer that is unfit: refused, cut short, not decodable. */
export class ReplyError extends Error {
  /** `"ReplyError"`. */
  override readonly name: string = "ReplyError";
  /** The kind of the session's error. */
  readonly kind: BrokerErrorKind;
  /** Further details of the session's error. */
  readonly details: Details;
  /** The text of the answer, as far as known. */
  readonly text: string;

  /** Creates an error whose message completes the sentence "Cannot POST https://…: …". */
  constructor(message: string, kind: BrokerErrorKind, details: Details = {}, text = "") {
    super(message);
    this.kind = kind;
    this.details = details;
    this.text = text;
  }
}

/** The name of an error: no other part of a foreign error is safe to show. */
export function nameOf(error: unknown): string {
  const { name } = Object(error);
  return typeof name === "string" && /^\w{1,64}$/.test(name)
    ? name
    : "something else than an Error";
}
