/**
 * Tells values apart by their content. Internal.
 *
 * @module
 */

/**
 * Writes a value as JSON that does not depend on the order of properties, at any depth. A bigint,
 * which JSON does not have, is written as text.
 *
 * @param value A subscription.
 * @returns The JSON.
 */
export function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_, part) => {
    if (typeof part === "bigint") return `${part}n`;
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

/**
 * Tells whether two values have the same content.
 *
 * @param a A value.
 * @param b Another.
 * @returns `true` where both are the same primitive, or objects of the same content.
 */
export function isSame(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === "object" && fingerprint(a) === fingerprint(b));
}
