import { assert, assertEquals } from "@std/assert";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "npm:@opentelemetry/sdk-trace-base@2.12.1";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "npm:@opentelemetry/sdk-metrics@2.12.1";
import { AbstractFeeder, Session, Throttler } from "@aio-trader/core";
import { LoopbackVenue } from "@aio-trader/core/testing";
import { Telemetry } from "../../examples/otel.ts";

/** A collector in memory. */
function collector() {
  const spans = new InMemorySpanExporter();
  const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meters = new MeterProvider({ readers: [reader] });
  return {
    telemetry: new Telemetry(tracers.getTracer("test"), meters.getMeter("test")),
    spans: () => spans.getFinishedSpans(),
    /** The latest values, as `name{attributes}`. */
    async values(): Promise<Map<string, unknown>> {
      await reader.forceFlush();
      const metrics = exporter.getMetrics().at(-1)?.scopeMetrics.flatMap((scope) => scope.metrics);
      return new Map(
        metrics?.flatMap(({ descriptor, dataPoints }) =>
          dataPoints.map(({ attributes, value }) =>
            [`${descriptor.name}${JSON.stringify(attributes)}`, value] as const
          )
        ),
      );
    },
    async close(): Promise<void> {
      await meters.shutdown();
      await tracers.shutdown();
    },
  };
}

Deno.test("Telemetry.session() makes a span of each attempt, and counts failures by outcome; no key is in either", async () => {
  const { telemetry, spans, values, close } = collector();
  await using venue = await LoopbackVenue.listen();
  const book: { name: string }[] = [];
  venue.on("POST /orders", (request) => book[book.push(request.json()) - 1]);
  venue.on("GET /orders", () => book);
  venue.fail("POST /orders", "reset-after-executing");
  const session = new Session({
    baseUrl: venue.httpUrl,
    headers: { authorization: "Bearer secret-key" },
    onEvent: telemetry.session(),
  });
  const find = async ({ signal }: { signal: AbortSignal }) =>
    (await session.get<{ name: string }[]>("orders", { signal, query: { key: "secret-key" } }))[0];
  await session.post("orders", { json: { name: "secret-key" }, reconcile: { find } });
  await session.close();
  const [order, lookUp, ...more] = spans();
  assertEquals(more, []);
  assertEquals([order.name, order.attributes["venue.outcome"]], ["POST", "unknown"]);
  assertEquals(order.attributes["error.type"], "network");
  assertEquals([lookUp.name, lookUp.attributes["http.response.status_code"]], ["GET", 200]);
  assertEquals(lookUp.attributes["url.full"], `${venue.httpUrl}orders`);
  assert(order.attributes["venue.call"] !== lookUp.attributes["venue.call"]);
  const counted = await values();
  assertEquals(counted.get('venue.failures{"error.type":"network","venue.outcome":"unknown"}'), 1);
  assert(!Deno.inspect([spans(), counted], { depth: 9 }).includes("secret-key"));
  await close();
});

Deno.test("Telemetry counts what a feed tells, and shows the waits of a throttler", async () => {
  const { telemetry, values, close } = collector();
  class Feed extends AbstractFeeder<number> {
    override async connect() {}
    override close(): Promise<void> {
      this.end();
      return Promise.resolve();
    }
    tell() {
      this.emit(1);
      this.emit(2);
      this.dispatch("gap", { since: 0, until: 1, filled: false });
      const ending = { code: 1006, reason: "lost", clean: false, opened: true };
      this.dispatch("retry", { attempt: 1, delay: 1, ending });
    }
  }
  const feed = new Feed();
  const throttler = new Throttler({ limit: 1, period: 60_000 });
  telemetry.feed("ticks", feed);
  telemetry.throttler("orders", throttler);
  feed.tell();
  await throttler.run(() => {});
  const controller = new AbortController();
  const waiting = throttler.run(() => {}, { signal: controller.signal }).catch(() => {});
  const counted = await values();
  assertEquals(counted.get('feed.items{"feed.name":"ticks"}'), 2);
  assertEquals(counted.get('feed.gaps{"feed.name":"ticks","gap.filled":false}'), 1);
  assertEquals(counted.get('feed.reconnects{"feed.name":"ticks","close.code":1006}'), 1);
  assertEquals(counted.get('throttler.waiting{"throttler.name":"orders"}'), 1);
  assert(counted.get('throttler.wait{"throttler.name":"orders"}') as number > 50_000);
  controller.abort();
  await waiting;
  await feed.close();
  await close();
});
