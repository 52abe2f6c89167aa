/**
 * Kraken's API-Sign: each private request carries a nonce and a signature over path, nonce and body.
 *
 * Source: docs.kraken.com, guide "Spot REST authentication".
 *
 * @module
 */

import type { Draft } from "@aio-trader/core";

/** What Kraken gives to whoever may trade for an account. */
export interface KrakenLogin {
  /** The public part, sent with every request. */
  readonly key: string;
  /** The private part, in base64. It never leaves the program. */
  readonly secret: string;
}

/** Signs private requests. One signer for each key: two would each count nonces of their own. */
export class KrakenSigner {
  readonly #key: string;
  readonly #secret: Promise<CryptoKey>;
  #nonce = 0;

  /**
   * Makes a signer.
   *
   * @param login The key and its secret.
   * @throws {TypeError} If the secret is not base64. The message does not quote the secret.
   */
  constructor({ key, secret }: KrakenLogin) {
    this.#key = key;
    this.#secret = crypto.subtle.importKey("raw", bytesOf(secret), HMAC, false, ["sign"]);
  }

  /** Rejects if the secret cannot be used, as an empty one. */
  get ready(): Promise<unknown> {
    return this.#secret;
  }

  /**
   * Completes a request: the nonce goes first into the body, the signature into the headers.
   *
   * @param draft The request. Its body is a form.
   */
  async sign(draft: Draft): Promise<void> {
    const nonce = this.#next();
    const form = `nonce=${nonce}${draft.body ? `&${draft.body}` : ""}`;
    draft.body = form;
    draft.headers.set("content-type", "application/x-www-form-urlencoded");
    draft.headers.set("api-key", this.#key);
    const message = { path: draft.url.pathname, nonce: String(nonce), form };
    draft.headers.set("api-sign", await signature(await this.#secret, message));
  }

  /** Microseconds: higher than any nonce of an earlier run, unless the clock was set back. */
  #next(): number {
    this.#nonce = Math.max(Date.now() * 1_000, this.#nonce + 1);
    return this.#nonce;
  }
}

/** What a signature covers. */
export interface Signed {
  /** From `/0/private` on. */
  readonly path: string;
  /** The nonce, as the form has it. */
  readonly nonce: string;
  /** The whole body. */
  readonly form: string;
}

/**
 * Calculates an API-Sign.
 *
 * @param key The secret, imported.
 * @param signed What the signature covers.
 * @returns HMAC-SHA512 of path + SHA256(nonce + form), in base64.
 */
export async function signature(key: CryptoKey, { path, nonce, form }: Signed): Promise<string> {
  const text = new TextEncoder();
  const digest = await crypto.subtle.digest("SHA-256", text.encode(nonce + form));
  const head = text.encode(path);
  const message = new Uint8Array(head.length + digest.byteLength);
  message.set(head);
  message.set(new Uint8Array(digest), head.length);
  const signed = await crypto.subtle.sign("HMAC", key, message);
  return btoa(String.fromCharCode(...new Uint8Array(signed)));
}

const HMAC = { name: "HMAC", hash: "SHA-512" };

function bytesOf(secret: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(secret), (character) => character.charCodeAt(0));
  } catch {
    throw new TypeError("Cannot log in to Kraken: the secret is not base64, wanted it unchanged");
  }
}
