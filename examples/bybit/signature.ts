/**
 * Bybit's signatures: HMAC-SHA256 in hex.
 *
 * @module
 */

import { importSecret, sign } from "../hmac.ts";

/** A key of the account's. */
export interface BybitLogin {
  /** The key. */
  readonly key: string;
  /** Its secret. */
  readonly secret: string;
}

/** Signs with one key. */
export class BybitSigner {
  /** The key that signs. */
  readonly key: string;
  readonly #secret: CryptoKey;

  private constructor(key: string, secret: CryptoKey) {
    this.key = key;
    this.#secret = secret;
  }

  /**
   * Makes a signer.
   *
   * @param login The key and its secret.
   * @returns The signer. The secret cannot be read from it.
   */
  static async of({ key, secret }: BybitLogin): Promise<BybitSigner> {
    return new BybitSigner(key, await importSecret(secret));
  }

  /**
   * Signs a text.
   *
   * @param text The text.
   * @returns 64 hex digits.
   */
  sign(text: string): Promise<string> {
    return sign(this.#secret, text);
  }
}
