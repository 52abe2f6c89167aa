/**
 * Binance's signatures: HMAC SHA-256 of the parameters.
 *
 * Source: binance-spot-api-docs, rest-api.md, "Request security".
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
 * Signs a request.
 *
 * @param key The key.
 * @param payload The query and the body, as they are sent, with nothing in between.
 * @returns HMAC SHA-256 in hexadecimal.
 */
export async function sign(key: CryptoKey, payload: string): Promise<string> {
  const hash = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(payload));
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
