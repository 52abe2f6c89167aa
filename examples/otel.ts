/**
 * Maps what a session, a feed and a throttler tell to OpenTelemetry: a span for each attempt of a call,
 * and counters for failures, for what happens to a feed, and for waits. The core has no dependency for
 * it: everything comes through `onEvent`, `on` and getters.
 *
 * ```ts ignore
 * const watch = new Telemetry(trace.getTracer("bot"), metrics.getMeter("bot"));
 * const session = new Session({ baseUrl, throttlers: [orders], onEvent: watch.session() });
 * watch.throttler("orders", orders);
 * watch.feed("ticks", feed);
 * ```
 *
 * Names follow the semantic conventions of HTTP where there are any. No event holds a key.
 *
 * @module
 */

import {
  type Meter,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from "npm:@opentelemetry/api@1.9.0";
import type { AbstractFeeder, RateLimiter, SessionEvent } from "@aio-trader/core";

/** Writes spans and counters. */
export class Telemetry {
  readonly #tracer: Tracer;
  readonly #meter: Meter;

  /**
   * Makes the writer.
   *
   * @param tracer Writes the spans.
   * @param meter Writes the counters.
   */
  constructor(tracer: Tracer, meter: Meter) {
    this.#tracer = tracer;
    this.#meter = meter;
  }

  /**
   * Makes a listener for a session.
   *
   * - Each attempt is a span, from the request to the headers of a success, or to the failure. The
   *   attribute `venue.call` is the same for all attempts of a call. The span that is active when the
   *   order is placed is their parent, so it holds the look-ups of a reconciliation too.
   * - `venue.failures` counts by kind and outcome: watch those of outcome `unknown`.
   *
   * @returns The listener, for `onEvent`.
   */
  session(): (event: SessionEvent) => void {
    const spans = new Map<number, Span>();
    const failures = this.#meter.createCounter("venue.failures", {
      description: "Attempts that failed, by kind and by what became of the order",
    });
    const excess = this.#meter.createCounter("venue.limit.excess", {
      description: "Tokens that the venue counts more than we do: another program uses the key",
    });
    const end = (call: number) => {
      spans.get(call)?.end();
      spans.delete(call);
    };
    return (event) => {
      const { call, type } = event;
      if (type === "request") spans.set(call, this.#begin(event));
      else if (type === "response") {
        spans.get(call)?.setAttribute("http.response.status_code", event.status);
        if (event.status < 400) end(call);
      } else if (type === "failure") {
        const { kind, outcome, message } = event.error;
        failures.add(1, { "error.type": kind, "venue.outcome": outcome });
        spans.get(call)?.setAttributes({ "error.type": kind, "venue.outcome": outcome })
          .setStatus({ code: SpanStatusCode.ERROR, message });
        end(call);
      } else if (type === "excess") {
        excess.add(event.tokens, { "server.address": hostOf(event.url) });
      }
    };
  }

  /**
   * Counts what happens to a feed.
   *
   * @param name The name of the feed, in `feed.name`.
   * @param feed The feed.
   */
  feed<T>(name: string, feed: AbstractFeeder<T>): void {
    const count = (what: string, description: string) =>
      this.#meter.createCounter(`feed.${what}`, { description });
    const items = count("items", "Items delivered");
    const reconnects = count("reconnects", "Connections that were lost, or could not be made");
    const gaps = count("gaps", "Times in which items may have been missed");
    const quiet = count("quiet", "Subscriptions that fell silent on a healthy connection");
    const errors = count("errors", "Errors told by the feed");
    const base = { "feed.name": name };
    feed.on("item", () => items.add(1, base));
    feed.on("retry", ({ ending }) => reconnects.add(1, { ...base, "close.code": ending.code }));
    feed.on("gap", ({ filled }) => gaps.add(1, { ...base, "gap.filled": filled }));
    feed.on("quiet", () => quiet.add(1, base));
    feed.on("error", () => errors.add(1, base));
  }

  /**
   * Shows how many calls wait at a throttler, and for how long the next one would.
   *
   * @param name The name of the throttler, in `throttler.name`.
   * @param throttler The throttler.
   */
  throttler(name: string, throttler: Pick<RateLimiter, "size" | "waitTime">): void {
    const attributes = { "throttler.name": name };
    this.#meter.createObservableGauge("throttler.waiting").addCallback((result) =>
      result.observe(throttler.size, attributes)
    );
    this.#meter.createObservableGauge("throttler.wait", { unit: "ms" }).addCallback((result) =>
      result.observe(Math.round(throttler.waitTime()), attributes)
    );
  }

  #begin({ call, method, url, attempt }: SessionEvent): Span {
    return this.#tracer.startSpan(method, {
      kind: SpanKind.CLIENT,
      attributes: {
        "http.request.method": method,
        "http.request.resend_count": attempt - 1,
        "server.address": hostOf(url),
        "url.full": url, // origin and path: a session never tells the query
        "venue.call": call,
      },
    });
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : "";
}
