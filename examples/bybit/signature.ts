/**
 * Bybit's signatures: HMAC-SHA256 in hex.
 *
 * @module
 */

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
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const raw = new TextEncoder().encode(secret);
    return new BybitSigner(key, await crypto.subtle.importKey("raw", raw, hmac, false, ["sign"]));
  }

  /**
   * Signs a text.
   *
   * @param text The text.
   * @returns 64 hex digits.
   */
  async sign(text: string): Promise<string> {
    const bytes = new TextEncoder().encode(text);
    const signature = new Uint8Array(await crypto.subtle.sign("HMAC", this.#secret, bytes));
    return [...signature].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
