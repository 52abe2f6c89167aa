/**
 * A certificate that nobody trusts, for 127.0.0.1, made when it is needed: no key lies in the repository.
 *
 * @module
 */

import { generateKeyPairSync, sign } from "node:crypto";

/** Makes a key and a certificate signed by it, both as PEM. */
export function selfSigned(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = der(0x30, oid("1.2.840.10045.4.3.2")); // ecdsa-with-SHA256
  const name = der(0x30, der(0x31, der(0x30, oid("2.5.4.3"), text(0x0c, "localhost"))));
  const content = der(
    0x30,
    der(0x02, [1]), // the serial number; without a version it is X.509 v1
    algorithm,
    name, // the issuer
    der(0x30, text(0x17, "200101000000Z"), text(0x17, "491231235959Z")),
    name, // the subject
    [...publicKey.export({ type: "spki", format: "der" })],
  );
  const signature = sign("sha256", Uint8Array.from(content), privateKey);
  const certificate = der(0x30, content, algorithm, der(0x03, [0, ...signature]));
  const base64 = btoa(String.fromCharCode(...certificate)).replace(/.{64}/g, "$&\n");
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
  };
}

/** One DER value: tag, length, content. */
function der(tag: number, ...parts: number[][]): number[] {
  const content = parts.flat();
  const { length } = content;
  if (length < 0x80) return [tag, length, ...content];
  return length < 0x100
    ? [tag, 0x81, length, ...content]
    : [tag, 0x82, length >> 8, length & 0xff, ...content];
}

function text(tag: number, value: string): number[] {
  return der(tag, [...new TextEncoder().encode(value)]);
}

function oid(dotted: string): number[] {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const base128 = (value: number): number[] =>
    value < 128 ? [value] : [...base128(value >> 7).map((byte) => byte | 0x80), value & 0x7f];
  return der(0x06, [first * 40 + second, ...rest.flatMap(base128)]);
}
