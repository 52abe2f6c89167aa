import { assertRejects } from "@std/assert";
import { BrokerError, Session, type SessionOptions } from "../../session.ts";

/** The address of a venue that is not there. */
export const BASE = "https://api.venue.example/v1";

/** The arguments of a call of `fetch`. */
export interface Sent extends RequestInit {
  url: string;
  headers: Record<string, string>;
}

/** A venue in place of `fetch`. */
export interface FakeVenue {
  fetch: typeof fetch;
  sent: Sent[];
}

/** An answer of a venue, to a request. */
export type Step = (request: Sent) => Response | Promise<Response>;

/** A venue of which each step answers one request, the last step all others. It obeys the signal. */
export function play(...steps: Step[]): FakeVenue {
  const sent: Sent[] = [];
  const fake = (url: unknown, init: unknown): Promise<Response> => {
    const request = { ...init as Sent, url: url as string };
    sent.push(request);
    const step = steps.length > 1 ? steps.shift()! : steps[0];
    return new Promise((resolve, reject) => {
      const abort = () => reject(request.signal!.reason);
      if (request.signal!.aborted) return abort();
      request.signal!.addEventListener("abort", abort);
      Promise.resolve(request).then(step).then(resolve, reject);
    });
  };
  return { fetch: fake as typeof fetch, sent };
}

export const ok: Step = () => Response.json({ id: 1 });

/** An answer of this status, without a body. */
export function status(code: number, init: ResponseInit = {}): Step {
  return () => new Response(null, { ...init, status: code });
}

export const never: Step = () => new Promise<Response>(() => {});

/** As Node says it. */
export const refused: Step = () =>
  Promise.reject(new TypeError("fetch failed", { cause: coded("ECONNREFUSED") }));

export const broken: Step = () =>
  Promise.reject(new TypeError("fetch failed", { cause: coded("ECONNRESET") }));

export function coded(code: string): Error {
  return Object.assign(new Error(`native text with ?key=secret`), { code });
}

/** An answer that waits to be let go. */
export function gate(step: Step = ok): { step: Step; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { step: (request) => promise.then(() => step(request)), open: resolve };
}

/** A session whose repeats wait no time. */
export function open(
  fake: { fetch: typeof fetch },
  options: Partial<SessionOptions> = {},
): Session {
  return new Session({ baseUrl: BASE, retry: { baseWait: 0, jitter: 0 }, ...fake, ...options });
}

/** The error of a call that fails. */
export async function failure(call: Promise<unknown>): Promise<BrokerError> {
  return await assertRejects(() => call, BrokerError);
}

/** Lets everything go on that waits for no timer. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
