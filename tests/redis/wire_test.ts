import { assert, assertEquals, assertRejects } from "@std/assert";
import { SCRIPT } from "../../redis/script.ts";
import { Refusal, type Send, Wire } from "../../redis/wire.ts";

const BODY = {
  agent: "a",
  isLost: false,
  lease: 5_000_000,
  start: { held: 0, told: [] },
  finish: { held: 0, told: [] },
  pause: 0,
  leave: [],
  join: ["1:1"],
};

function wire(send: Send, onFailure = (_: unknown) => true): Wire {
  const names = { key: "k", limits: "[]", sets: 2 };
  const timers: ReturnType<typeof setTimeout>[] = [];
  const wire = new Wire({
    ...names,
    async send(command) {
      try {
        return await send(command);
      } finally {
        timers.forEach(clearTimeout);
      }
    },
    timeout: 50,
    maxWait: 10,
    alarm: (at) => timers.push(setTimeout(() => wire.expire(), at - performance.now() + 1)),
    onFailure,
  });
  return wire;
}

Deno.test("Wire.ask() sends the hash of the script, and its source where the server does not know it", async () => {
  const sent: string[][] = [];
  const way = wire((command) => {
    sent.push(command);
    if (command[0] === "EVALSHA" && sent.length === 1) {
      return Promise.reject(new Error("NOSCRIPT No matching script."));
    }
    return Promise.resolve(["epoch", 5, 0, 0, "1"]);
  });
  assertEquals((await way.ask(BODY))!.answer, ["epoch", 5, 0, 0, "1"]);
  await way.ask(BODY);
  assertEquals(sent.map(([name]) => name), ["EVALSHA", "EVAL", "EVALSHA"]);
  assertEquals(sent[1][1], SCRIPT);
  assertEquals(sent[0].slice(2, 8), ["5", "{k}", "{k}:line", "{k}:leases", "{k}:1", "{k}:2"]);
});

Deno.test("Wire.ask() repeats a command byte for byte until Redis answers, then counts on", async () => {
  const sent: string[] = [];
  const failures: unknown[] = [];
  const way = wire(
    (command) => {
      // All but the time that has passed for sure.
      sent.push(command.join("|").replace(/^(.*\|\["a",\d+,"\w*",\d+),\d+/, "$1"));
      if (sent.length === 1) return Promise.reject(new Error("ECONNRESET"));
      if (sent.length === 2) return new Promise(() => {}); // never answered
      return Promise.resolve(["epoch", 7, 0, 0]);
    },
    (error) => failures.push(error) > 0,
  );
  await way.ask(BODY);
  assertEquals([sent[0], sent[0]], [sent[1], sent[2]]);
  assertEquals(failures.map(String), [
    "Error: ECONNRESET",
    "Error: Cannot ask Redis: no answer, wanted one within 50 ms",
  ]);
  await way.ask(BODY);
  assertEquals(JSON.parse(sent[3].split("|")[9]).slice(0, 4), ["a", 2, "epoch", 7]);
});

Deno.test("Wire.ask() takes numbers as text or bigint, and text as bytes", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const way = wire(() => Promise.resolve([bytes("epoch"), 5n, "17", bytes("0"), bytes("1")]));
  assertEquals((await way.ask(BODY))!.answer, ["epoch", 5, 17, 0, "1"]);
});

for (const code of ["NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE", "ERR", "LIMITS"]) {
  Deno.test(`Wire.ask() does not repeat what Redis refuses for good: ${code}`, async () => {
    let count = 0;
    const way = wire(() => (count++, Promise.reject(new Error(`${code} because`))));
    const words = code === "LIMITS" ? "other limits" : code;
    const error = await assertRejects(() => way.ask(BODY), Refusal, words);
    assertEquals([count, (error.cause as Error).message], [1, `${code} because`]);
  });
}

for (const code of ["LOADING", "READONLY", "CLUSTERDOWN", "OOM", "BUSY"]) {
  Deno.test(`Wire.ask() repeats what Redis refuses for a while: ${code}`, async () => {
    let count = 0;
    const way = wire(() => {
      if (++count === 1) return Promise.reject(new Error(`${code} because`));
      return Promise.resolve(["epoch", 7, 0, 0]);
    });
    assert(await way.ask(BODY));
  });
}

Deno.test("Wire.ask() refuses an answer that is not of the script", async () => {
  for (const value of [undefined, null, "OK", 5, [1]]) {
    await assertRejects(() => wire(() => Promise.resolve(value)).ask(BODY), Refusal);
  }
});

Deno.test("Wire.ask() gives up where onFailure says so", async () => {
  const way = wire(() => Promise.reject(new Error("ECONNREFUSED")), () => false);
  assertEquals(await way.ask(BODY), undefined);
});
