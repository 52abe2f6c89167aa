/**
 * How a session hands an order to fetch, on every runtime: an order never takes an answer that lay on
 * an idle connection before the order went out. Further checks show the repetitions of each runtime's
 * own fetch, which `docs/runtimes.md` lists.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { type RequestOptions, Session } from "../../session.ts";
import { LoopbackVenue, reply, type Step } from "../../testing.ts";
import { check, run, runtime } from "./harness.ts";

/**
 * A venue in a thread of its own, so that it can write while JavaScript is busy here. Some
 * milliseconds after a GET the venue writes an answer that nobody has asked for, and says so through
 * `flags`: 0 counts these answers, 1 counts orders.
 */
const VENUE = `
const { createServer } = require("node:net");
const { parentPort, workerData: { flags, unasked } } = require("node:worker_threads");
const answer = (body) => "HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: " +
  body.length + "\\r\\n\\r\\n" + body;
createServer((socket) => {
  let buffer = "";
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    buffer += chunk.toString("latin1");
    const end = buffer.indexOf("\\r\\n\\r\\n");
    if (end < 0) return;
    const head = buffer.slice(0, end).toLowerCase();
    const length = Number((head.match(/content-length: (\\d+)/) || [0, 0])[1]);
    const isWhole = head.includes("chunked")
      ? buffer.endsWith("0\\r\\n\\r\\n")
      : buffer.length >= end + 4 + length;
    if (!isWhole) return;
    buffer = "";
    if (!head.startsWith("get")) {
      Atomics.add(flags, 1, 1);
      socket.write(answer('{"order_id":1}'));
    } else if (head.startsWith("get /plain")) {
      socket.write(answer("{}"));
    } else {
      socket.write(answer("{}"));
      setTimeout(() => socket.write(unasked, () => Atomics.add(flags, 0, 1)), 3);
    }
  });
}).listen(0, "127.0.0.1", function () { parentPort.postMessage(this.address().port); });
`;

/** Answers that venues write on an idle connection before they close the connection, and a worse one. */
const UNASKED = {
  "a 400": "HTTP/1.1 400 Bad Request\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbad",
  "a 408": "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
  "a success": "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n" +
    '{"order_id":9}',
};

interface Venue {
  url: string;
  /** How many answers nobody asked for, and how many orders came. */
  flags: Int32Array;
  close(): Promise<unknown>;
}

async function open(unasked: string): Promise<Venue> {
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(VENUE, { eval: true, workerData: { flags, unasked } });
  const port = await new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { url: `http://127.0.0.1:${port}/`, flags, close: () => worker.terminate() };
}

/** Keeps JavaScript busy until the venue has written so many answers, and for `more` milliseconds. */
function busy({ flags }: Venue, count: number, more: number): void {
  const late = performance.now() + 5_000;
  while (Atomics.load(flags, 0) < count) {
    assert(performance.now() < late, "the venue has written nothing");
  }
  const end = performance.now() + more;
  while (performance.now() < end);
}

const ORDERS: [method: string, options: RequestOptions][] = [
  ["POST", { json: { quantity: 1 } }],
  ["POST", {}],
  ["PUT", { form: { quantity: 1 } }],
  ["PATCH", { body: new Blob(["x"]) }],
  ["DELETE", {}],
];

for (const [name, unasked] of Object.entries(UNASKED)) {
  for (const more of [2, 20]) {
    check(
      `an order never takes ${name} that the venue wrote before, JavaScript being busy (${more} ms)`,
      async () => {
        const venue = await open(unasked);
        const session = new Session({ baseUrl: venue.url, retry: false });
        let turns = 0;
        for (const [method, options] of [...ORDERS, ...ORDERS]) {
          await session.get("idle", { throttlers: [] });
          busy(venue, ++turns, more);
          assert.deepEqual((await session.request(method, "orders", options)).data, {
            order_id: 1,
          });
          assert.equal(venue.flags[1], turns, `${method} was executed`);
        }
        await session.close();
        await venue.close();
      },
      { timeout: 20_000 },
    );
  }
}

check("no order of many at once takes such an answer", async () => {
  const venue = await open(UNASKED["a 400"]);
  const session = new Session({ baseUrl: venue.url, retry: false });
  for (let round = 1; round <= 10; round++) {
    const before = Atomics.load(venue.flags, 0);
    const gets = Array.from({ length: 6 }, () => session.get("idle"));
    // A GET may take such an answer, of a connection that another has just left. Only orders wait.
    const answers = await Promise.allSettled(gets);
    busy(venue, before + answers.filter(({ status }) => status === "fulfilled").length, 10);
    const orders = Array.from({ length: 6 }, async (_, i) => {
      if (i % 2) busy(venue, 0, 2);
      return await session.post("orders", { json: { i } });
    });
    assert.deepEqual(await Promise.all(orders), orders.map(() => ({ order_id: 1 })));
    assert.equal(venue.flags[1], 6 * round);
  }
  await session.close();
  await venue.close();
}, { timeout: 20_000 });

if (runtime === "deno") {
  check("Deno's own fetch takes it, so the wait before an order is needed", async () => {
    const venue = await open(UNASKED["a 400"]);
    const statuses: number[] = [];
    for (let turns = 1; turns <= 5; turns++) {
      await (await fetch(`${venue.url}idle`)).text();
      busy(venue, turns, 10);
      const response = await fetch(`${venue.url}orders`, { method: "POST", body: new Blob(["x"]) });
      await response.text();
      statuses.push(response.status);
    }
    assert(statuses.includes(400), `${statuses}`);
    for (let left = 500; Atomics.load(venue.flags, 1) < 5 && left > 0; left--) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal(Atomics.load(venue.flags, 1), 5, "and the venue has executed all of them");
    await venue.close();
  });
}

/** Sends orders through the runtime's own fetch, and lists those that the venue got twice. */
async function repeated(bodies: Record<string, BodyInit | undefined>, fault: Step) {
  const found: string[] = [];
  const venue = await LoopbackVenue.listen();
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    for (const [name, body] of Object.entries(bodies)) {
      venue.will("*", reply(200));
      for (let i = 0; i < 2; i++) await (await fetch(venue.httpUrl)).text();
      venue.requests.length = 0;
      venue.will("*", fault, reply(200));
      await fetch(venue.httpUrl, { method, body }).then((response) => response.text(), () => {});
      if (venue.requests.length > 1) found.push(`${method} ${name}`);
    }
  }
  await venue.close();
  return found;
}

check(
  "the runtime itself repeats an order that got no answer, as docs/runtimes.md says",
  async () => {
    const found = await repeated(
      { text: "x", blob: new Blob(["x"]), nothing: undefined },
      "finish-before-executing",
    );
    const methods = ["POST", "PUT", "PATCH", "DELETE"];
    const all = (method: string) => [`${method} text`, `${method} blob`, `${method} nothing`];
    assert.deepEqual(
      found,
      {
        deno: methods.flatMap((method) => [`${method} text`, `${method} nothing`]),
        node: [],
        bun: ["PUT", "DELETE"].flatMap(all),
      }[runtime],
    );
  },
);

check("the runtime itself repeats an order after a 421, as docs/runtimes.md says", async () => {
  const found = await repeated({ text: "x", nothing: undefined }, reply(421));
  const methods = ["POST", "PUT", "PATCH", "DELETE"];
  assert.deepEqual(
    found,
    {
      deno: [],
      node: methods.flatMap((method) => [`${method} text`, `${method} nothing`]),
      bun: [],
    }[runtime],
  );
});

await run();
