import { assert, assertEquals } from "@std/assert";
import { RepairWaits } from "../../../examples/binance/repair_waits.ts";

Deno.test("RepairWaits repairs at once, then with waits that double up to 30 seconds", () => {
  const waits = new RepairWaits();
  let now = 0;
  const given: number[] = [];
  for (let i = 0; i < 8; i++) {
    given.push(waits.next("BTCUSDT", now));
    now += given[i] + 100;
  }
  assertEquals(given, [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assertEquals(waits.next("ETHUSDT", now), 0, "each book has waits of its own");
  assertEquals(waits.next("BTCUSDT", now + 60_000), 0, "a calm book begins anew");
});

Deno.test("RepairWaits allows a storm at most nine repairs in the first two minutes", () => {
  const waits = new RepairWaits();
  let repairs = 0;
  for (let now = 0; now < 120_000; now += 10) {
    now += waits.next("BTCUSDT", now);
    repairs++;
  }
  assert(repairs <= 9, `${repairs}`);
  waits.forget("BTCUSDT");
  assertEquals(waits.next("BTCUSDT", 120_000), 0);
});
