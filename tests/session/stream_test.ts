import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import {
  BrokerError,
  type RequestOptions,
  type Session,
  type SessionEvent,
} from "../../session.ts";
import { LoopbackVenue } from "../../testing.ts";
import { failure, ok, open, play, refused, status, turn } from "./fake_venue.ts";

type Bytes = ReadableStream<Uint8Array>;

/** An answer whose chunks come one by one. */
function slowly(): {
  step: () => Response;
  write: (text: string) => void;
  end: () => void;
  fail: (error: unknown) => void;
  isCancelled: () => boolean;
} {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (c) => void (controller = c),
    cancel: () => void (isCancelled = true),
  });
  return {
    step: () => new Response(body),
    write: (text) => controller.enqueue(new TextEncoder().encode(text)),
    end: () => controller.close(),
    fail: (error) => controller.error(error),
    isCancelled: () => isCancelled,
  };
}

function stream(session: Session, options: RequestOptions<Bytes> = {}): Promise<Bytes> {
  return session.get<Bytes>("dump", { parse: "stream", ...options });
}

async function text(chunk: Promise<ReadableStreamReadResult<Uint8Array>>): Promise<string> {
  return new TextDecoder().decode((await chunk).value);
}

Deno.test("Session with parse: stream gives each chunk as it comes", async () => {
  const answer = slowly();
  const session = open(play(answer.step));
  const reader = (await stream(session)).getReader();
  for (const line of ["one", "two"]) {
    const chunk = text(reader.read());
    answer.write(line);
    assertEquals(await chunk, line);
  }
  answer.end();
  assertEquals((await reader.read()).done, true);
  await session.close();
});

Deno.test("Session with parse: stream gives an empty stream for an answer without a body", async () => {
  const session = open(play(status(204)));
  assertEquals(await new Response(await stream(session)).text(), "");
  await session.close();
});

Deno.test("Session with parse: stream takes timeout for the headers, then for each chunk that is waited for", async () => {
  using time = new FakeTime();
  const answer = slowly();
  const session = open(play(answer.step), { timeout: 100 });
  const reader = (await stream(session)).getReader();
  await time.tickAsync(1_000); // the reader is slow: that is no fault of the venue's
  const first = text(reader.read());
  await time.tickAsync(99);
  answer.write("late, but in time");
  assertEquals(await first, "late, but in time");
  await time.tickAsync(1_000); // and slow again
  const next = text(reader.read());
  answer.write("next");
  assertEquals(await next, "next");
  const second = failure(reader.read());
  await time.tickAsync(100);
  const { kind, message, retriable } = await second;
  assertEquals([kind, retriable], ["timeout", true]);
  assert(message.endsWith("no further chunk within 100 ms"), message);
  assert(answer.isCancelled());
  assertEquals(await time.nextAsync(), false, "no timer is left");
  await session.close();
});

Deno.test("Session.close() breaks a stream with a BrokerError closed, read or not, and waits for that", async () => {
  for (const isReading of [true, false]) {
    const answer = slowly();
    const session = open(play(answer.step));
    const reader = (await stream(session)).getReader();
    const reading = isReading ? failure(reader.read()) : undefined;
    await turn();
    await session.close();
    const error = await (reading ?? failure(reader.read()));
    assertEquals([error.kind, error.method], ["closed", "GET"]);
    assert(answer.isCancelled());
  }
});

Deno.test("Session breaks a stream when its signal is aborted, or its deadline has passed", async () => {
  using time = new FakeTime();
  const reason = new Error("Changed my mind");
  const controller = new AbortController();
  const session = open(play(() => slowly().step()));
  const aborted = (await stream(session, { signal: controller.signal })).getReader();
  const late = (await stream(session, { deadline: 50 })).getReader();
  controller.abort(reason);
  const error = await failure(aborted.read());
  assertEquals(error.kind, "aborted");
  assertStrictEquals(error.cause, reason);
  await time.tickAsync(50);
  assertEquals((await failure(late.read())).kind, "timeout");
  await session.close();
});

Deno.test("Session breaks a stream that is longer than maxBytes", async () => {
  for (const chunks of [["12345"], ["123", "45"], ["1", "2", "3", "4", "5"]]) {
    const answer = slowly();
    const session = open(play(answer.step));
    const body = await stream(session, { maxBytes: 4 });
    for (const chunk of chunks) answer.write(chunk);
    const error = await assertRejects(() => new Response(body).text(), BrokerError);
    assertEquals(error.kind, "too-large");
    assert(answer.isCancelled());
    await session.close();
  }
  const answer = slowly();
  const body = await stream(open(play(answer.step), { maxBytes: 1 }), { maxBytes: 4 });
  answer.write("1234");
  answer.end();
  assertEquals(await new Response(body).text(), "1234", "exactly maxBytes are let through");
});

Deno.test("Session says network of a stream that ends early, and shows nothing of the runtime's text", async () => {
  const answer = slowly();
  const events: SessionEvent[] = [];
  const session = open(play(answer.step), { onEvent: (event) => void events.push(event) });
  const reader = (await stream(session)).getReader();
  const chunk = failure(reader.read());
  answer.fail(new TypeError("error reading a body from connection ?key=hunter2"));
  const error = await chunk;
  assertEquals([error.kind, error.outcome], ["network", "unknown"]);
  assert(!Deno.inspect(error).includes("hunter2"));
  assertEquals(events.map(({ type }) => type), ["request", "response", "failure"]);
  await session.close();
});

Deno.test("Session.close() does not wait for a stream that was read to its end or cancelled", async () => {
  for (const end of ["read", "cancelled"]) {
    const answer = slowly();
    const { signal } = new AbortController();
    let listeners = 0;
    signal.addEventListener = () => void listeners++;
    signal.removeEventListener = () => void listeners--;
    const session = open(play(answer.step));
    const body = await stream(session, { signal });
    assertEquals(listeners, 1, "the signal counts while the stream is open");
    if (end === "read") {
      answer.end();
      await new Response(body).text();
    } else {
      await body.cancel();
      assert(answer.isCancelled());
    }
    assertEquals(listeners, 0);
    await session.close();
  }
});

Deno.test("Session with parse: stream repeats what fails before the headers, and reads a refusal as usual", async () => {
  const venue = play(refused, status(503), ok);
  const session = open(venue);
  assertEquals(await new Response(await stream(session)).json(), { id: 1 });
  assertEquals(venue.sent.length, 3);
  const refusing = open(play(() => Response.json({ code: 7 }, { status: 400 })));
  const error = await failure(stream(refusing));
  assertEquals([error.kind, error.code], ["rejected", 7]);
});

Deno.test("Session with parse: stream gives the connection up, on a real socket, when the stream is cancelled", async () => {
  await using venue = await LoopbackVenue.listen();
  venue.will("*", ["stall-body", { body: "one" }]);
  const session = open({ fetch }, { baseUrl: venue.httpUrl });
  const body = await stream(session);
  const reader = body.getReader();
  assertEquals(await text(reader.read()), "one");
  await reader.cancel();
  await venue.until(() => venue.alive === 0);
  await session.close();
});

Deno.test("Session with parse: stream breaks a stream that ended before its content-length", async () => {
  const cut = () => new Response("half", { headers: { "content-length": "8" } });
  const session = open(play(cut));
  const reader = (await stream(session)).getReader();
  assertEquals(await text(reader.read()), "half");
  const error = await failure(reader.read());
  assertEquals(error.kind, "network");
  assert(error.message.includes("4 of 8 bytes"), error.message);
});
