import { assert, assertEquals } from "@std/assert";
import { type RateLimiter, Throttler } from "../../throttler.ts";
import { fakeClock } from "../fake_clock.ts";
import { RemoteLimiter } from "./remote_limiter.ts";

for (
  const [name, make] of [
    ["Throttler", () => new Throttler({ limit: 1, period: 100 })],
    ["a limiter over a network", () => new RemoteLimiter({ limit: 1, period: 100 })],
  ] as [string, () => RateLimiter][]
) {
  Deno.test(`RateLimiter.place() is charged at its start only, and may be left: ${name}`, async () => {
    using time = fakeClock();
    const limiter = make();
    const [first, second] = [1, 2].map((age) => limiter.place({ cost: 1, urgent: false, age }));
    assertEquals([limiter.size, first.rate, first.period], [0, 0.01, 100]);
    for (const place of [first, second]) place.enter(() => {});
    assertEquals(limiter.size, 2);
    first.turn();
    await time.tickAsync(10);
    assert(first.isOpen);
    first.pass();
    assertEquals(limiter.size, 2);
    second.turn();
    await time.tickAsync(10);
    assert(second.isOpen);
    assertEquals(await second.start(() => "sent"), "sent");
    assertEquals(second.isOpen, false);
    for (const place of [first, second]) place.leave();
    assertEquals(limiter.size, 0);
  });
}
