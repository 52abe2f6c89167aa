/**
 * Exact JSON. Internal to {@linkcode Session}.
 *
 * @module
 */

/**
 * Parses JSON. Integers beyond 2^53 become bigints, exact to the last digit.
 *
 * @throws {SyntaxError} If it is not JSON.
 */
export function parseJson(text: string): unknown {
  // The reviver costs as much as parsing does, and most answers hold no number of that size.
  return /\d{16}/.test(text) ? JSON.parse(text, exact) : JSON.parse(text);
}

function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context!.source!; // where a runtime has no source, no answer is better than a wrong one
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}

/** The value of a JSON text; another text, such as a gateway's page, as it is. */
export function tryJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}
