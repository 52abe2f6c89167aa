/**
 * The roles of calls, and the one table of their rules. Internal to {@linkcode Session}.
 *
 * @module
 */

/**
 * The role of a call:
 *
 * - `"login"`: the call says `renew: false`, or is part of a login.
 * - `"look-up"`: the call carries the signal of a reconciliation, and asks for the fate of an
 *   order.
 * - `"order"`: any other POST, PUT, PATCH or DELETE.
 * - `"other"`: any other GET, HEAD or OPTIONS.
 */
export type Role = "order" | "look-up" | "login" | "other";

/** The rules of a role. */
export interface Rules {
  /** Whether the call goes before calls that are not urgent, in the line of each throttler. */
  readonly isUrgent: boolean;
  /** Whether the call waits while a login runs, and a 401 makes the session log in. */
  readonly needsLogin: boolean;
  /** Whether the call may begin, or begin again, while the session closes. */
  readonly beginsWhileClosing: boolean;
  /** The part of the call that `close()` lets come to an end. */
  readonly outlivesClose: "nothing" | "request" | "everything";
}

/**
 * The rules of each role.
 *
 * A login may have used up a refresh token, so its request comes to an end as an order's does. It
 * may begin while the session closes, because a look-up may need it.
 */
export const RULES: Readonly<Record<Role, Rules>> = {
  order: {
    isUrgent: false,
    needsLogin: true,
    beginsWhileClosing: false,
    outlivesClose: "request",
  },
  "look-up": {
    isUrgent: true,
    needsLogin: true,
    beginsWhileClosing: true,
    outlivesClose: "everything",
  },
  login: {
    isUrgent: true,
    needsLogin: false,
    beginsWhileClosing: true,
    outlivesClose: "request",
  },
  other: {
    isUrgent: false,
    needsLogin: true,
    beginsWhileClosing: false,
    outlivesClose: "nothing",
  },
};

/**
 * Finds the role of a call. The first fact that is true decides, in this order.
 *
 * @param facts The facts about the call.
 * @returns The role.
 */
export function roleOf(
  { isLogin, isLookUp, isSafe }: { isLogin: boolean; isLookUp: boolean; isSafe: boolean },
): Role {
  if (isLogin) return "login";
  if (isLookUp) return "look-up";
  return isSafe ? "other" : "order";
}
