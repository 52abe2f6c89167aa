/**
 * A worker that sends requests through a session for `workerd_check.ts`.
 *
 * @module
 */

import { BrokerError, type RequestOptions, Session, Throttler } from "../../mod.ts";

/** A job for the worker. */
export interface Job {
  /** Where the venue is. */
  url: string;
  /** Calls that come first, so that a connection is in use already. */
  warm: number;
  method: string;
  /** The name of one of the bodies below. */
  body: string;
  /** How many calls at once. */
  calls: number;
  timeout: number;
  /** Uses the `fetch` of workerd instead of a session: JSON or nothing, once. */
  raw: boolean;
}

/** The end of a call. */
export type Result =
  | { data: unknown }
  | { kind: string; outcome: string; message: string; retriable: boolean };

const BODIES: Record<string, () => RequestOptions> = {
  json: () => ({ json: { quantity: 1 } }),
  form: () => ({ form: { quantity: 1 } }),
  bytes: () => ({ body: new TextEncoder().encode("quantity=1") }),
  FormData: () => {
    const form = new FormData();
    form.set("quantity", "1");
    return { body: form };
  },
  none: () => ({}),
};

/** Sends an order through the `fetch` of workerd, and ignores a failure. */
async function sendRaw({ url, warm, method, body }: Job): Promise<void> {
  for (let i = 0; i < warm; i++) await (await fetch(`${url}warm`)).text();
  const init = { method, body: body === "none" ? undefined : '{"quantity":1}' };
  await fetch(`${url}orders`, init).then((response) => response.text(), () => {});
}

async function work({ url, warm, method, body, calls, timeout }: Job): Promise<unknown> {
  const throttler = new Throttler({ limit: 2, period: 100 });
  const session = new Session({ baseUrl: url, timeout, throttlers: [throttler] });
  for (let i = 0; i < warm; i++) await session.get("warm", { throttlers: [] });
  const start = Date.now();
  const results = await Promise.all(Array.from({ length: calls }, () => {
    return session.request(method, "orders", BODIES[body]()).then(
      ({ data }): Result => ({ data }),
      (error): Result => {
        const { kind, outcome, message, retriable } = error as BrokerError;
        return { kind: error instanceof BrokerError ? kind : "none", outcome, message, retriable };
      },
    );
  }));
  await session.close();
  return { results, duration: Date.now() - start };
}

export default {
  async fetch(request: Request): Promise<Response> {
    if (request.method === "GET") return new Response("ready");
    const job: Job = await request.json();
    if (!job.raw) return Response.json(await work(job));
    await sendRaw(job);
    return Response.json({ results: [], duration: 0 });
  },
};
