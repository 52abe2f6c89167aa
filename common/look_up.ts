/**
 * Tells look-ups apart: calls that ask the venue for the fate of an order. A look-up carries the
 * signal of a reconciliation. A session lets a look-up go first, and go on while the session closes.
 * Internal.
 *
 * @module
 */

const signals = new WeakSet<AbortSignal>();

/**
 * Marks the signal of a reconciliation.
 *
 * @param signal The signal that `find` is given.
 */
export function markLookUp(signal: AbortSignal): void {
  signals.add(signal);
}

/**
 * Tells whether a call that carries this signal is a look-up.
 *
 * @param signal The signal of the call, if it has one.
 * @returns `true` for the signal of a reconciliation.
 */
export function isLookUp(signal: AbortSignal | undefined): boolean {
  return signal !== undefined && signals.has(signal);
}
