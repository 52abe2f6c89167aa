/**
 * Signatures of Binance and Bybit: HMAC-SHA256 in hexadecimal.
 *
 * Sources: binance-spot-api-docs, rest-api.md, "Request security"; bybit-exchange.github.io/docs/v5,
 * guide.
 *
 * @module
 */

/**
 * Makes a key of a secret; the secret cannot be read from it.
 *
 * @param secret The secret key, as the venue gave it.
 * @returns A key for {@linkcode sign}.
 */
export function importSecret(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
}

/**
 * Signs a text.
 *
 * @param key The key.
 * @param text The text, exactly as the venue gets it.
 * @returns HMAC-SHA256 in hexadecimal: 64 digits.
 */
export async function sign(key: CryptoKey, text: string): Promise<string> {
  return hex(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(text)));
}

/** Writes bytes in hexadecimal. */
export function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
