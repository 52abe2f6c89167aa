/**
 * A certificate that nobody trusts, made anew on each call, so that no private key lies in the
 * repository. Runs on Deno, Node and Bun.
 *
 * @module
 */

import { generateKeyPairSync, sign } from "node:crypto";

/** A private key and its certificate, both as PEM: what `createServer` of `node:tls` takes. */
export interface Certificate {
  key: string;
  cert: string;
}

/**
 * Returns a self-signed certificate for `localhost` and 127.0.0.1, valid from a day ago until
 * tomorrow.
 */
export function selfSigned(): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ecdsaWithSha256 = sequence(der(0x06, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
  const name = sequence(der(0x31, sequence(der(0x06, [0x55, 0x04, 0x03]), utf8("localhost"))));
  const names = sequence(der(0x82, ascii("localhost")), der(0x87, [127, 0, 0, 1]));
  const extensions = sequence(sequence(der(0x06, [0x55, 0x1d, 0x11]), der(0x04, names)));
  const day = 86_400_000;
  const body = sequence(
    der(0xa0, der(0x02, [2])), // X.509 v3
    der(0x02, [1]), // serial number
    ecdsaWithSha256,
    name,
    sequence(utcTime(Date.now() - day), utcTime(Date.now() + day)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, extensions),
  );
  const signature = sign("sha256", body, privateKey);
  const bytes = sequence(body, ecdsaWithSha256, der(0x03, [0], signature));
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${
      btoa(String.fromCharCode(...bytes))
    }\n-----END CERTIFICATE-----\n`,
  };
}

type Bytes = ArrayLike<number>;

/** Encodes one value of ASN.1: its tag, its length, its content. */
function der(tag: number, ...contents: Bytes[]): Uint8Array {
  const content = contents.flatMap((bytes) => Array.from(bytes));
  const { length } = content;
  const size = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([tag, ...size, ...content]);
}

function sequence(...contents: Bytes[]): Uint8Array {
  return der(0x30, ...contents);
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function utf8(text: string): Uint8Array {
  return der(0x0c, ascii(text));
}

function utcTime(time: number): Uint8Array {
  const digits = new Date(time).toISOString().replace(/\D/g, "").slice(2, 14);
  return der(0x17, ascii(`${digits}Z`));
}
