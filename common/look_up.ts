/**
 * Tells look-ups apart: a call that carries the signal of a reconciliation asks what became of an
 * order, so a session lets it go first, and lets it go on while the session closes. Internal.
 *
 * @module
 */

const signals = new WeakSet<AbortSignal>();

/**
 * Marks a signal as that of a reconciliation.
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
