/** The two stages of the test kit, with every fault of their tables. */

import { check, run, runtime } from "./harness.ts";
import {
  admitThrough,
  endThrough,
  FEEDS,
  liveThrough,
  loopback,
  ORDERS,
  placeThrough,
  simulated,
  stepThrough,
  throwThrough,
} from "../testing/table.ts";

for (const fault of Object.keys(ORDERS) as (keyof typeof ORDERS)[]) {
  check(`an order through ${fault} has the same fate on both stages`, async () => {
    await placeThrough(await loopback(), fault);
    await placeThrough(await simulated(runtime), fault);
  });
}

for (const fault of Object.keys(FEEDS)) {
  check(`a feed is live again after ${fault}, on both stages`, async () => {
    await liveThrough(await loopback(), fault);
    await liveThrough(await simulated(runtime), fault);
  });
}

check("a feed ends after the status 401 of its upgrade, on both stages", async () => {
  await endThrough(await loopback(), 401);
  await endThrough(await simulated(runtime), 401);
});

const others = {
  "requests end as will() says": stepThrough,
  "onUpgrade() decides about upgrades in its own time": admitThrough,
  "what the feed's handlers throw is kept": throwThrough,
};
for (const [name, play] of Object.entries(others)) {
  check(`${name}, on both stages`, async () => {
    await play(await loopback());
    await play(await simulated(runtime));
  });
}

await run();
