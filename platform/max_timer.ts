/**
 * The longest timer. Internal.
 *
 * @module
 */

/**
 * The longest timer, in milliseconds: 24.8 days. One set for longer fires at once, on every
 * runtime.
 */
export const MAX_TIMER: number = 2 ** 31 - 1;
