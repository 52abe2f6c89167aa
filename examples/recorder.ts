/**
 * Records what goes over a feed's socket, one JSON object a line (NDJSON), for {@linkcode ReplayFeeder}
 * to play again.
 *
 * ```ts ignore
 * const file = await Deno.open("kraken.ndjson", { create: true, append: true });
 * const encoder = new TextEncoder();
 * const tap = recorder((line) => file.writeSync(encoder.encode(line)));
 * await using feed = new KrakenFeed({ tap });
 * ```
 *
 * @module
 */

import type { Frame } from "@aio-trader/core";

/** One line of a recording. */
export interface RecordedFrame {
  /** When, in milliseconds since the first frame. */
  readonly at: number;
  /** Which way it went. */
  readonly direction: "in" | "out";
  /** Over which connection, counted from 1. */
  readonly attempt: number;
  /** A frame of text. */
  readonly text?: string;
  /** A frame of bytes. */
  readonly base64?: string;
}

/**
 * Makes a tap that records every frame. What goes out may hold a login: keep a recording as secret
 * as that, or leave those frames out.
 *
 * @param write Is given each line, its line break included.
 * @param keep Says which frames to record. Unless given, all of them.
 * @returns What to give to a feed as its `tap`.
 */
export function recorder(
  write: (line: string) => void,
  keep: Keep = () => true,
): (direction: "in" | "out", data: Frame, attempt: number) => void {
  let start: number | undefined;
  return (direction, data, attempt) => {
    if (!keep(direction, data)) return;
    const now = performance.now();
    start ??= now;
    const at = Math.round((now - start) * 1_000) / 1_000;
    const content = typeof data === "string" ? { text: data } : { base64: toBase64(data) };
    write(`${JSON.stringify({ at, direction, attempt, ...content } satisfies RecordedFrame)}\n`);
  };
}

/** Says which frames to record. */
export type Keep = (direction: "in" | "out", data: Frame) => boolean;

/**
 * Reads what came in back from a recording. Where one was appended to another, it plays right after it.
 *
 * @param lines Its lines; empty ones are skipped.
 * @returns The frames that came in, in their order, when, and over which connection.
 * @throws {SyntaxError} If a line is no JSON.
 */
export async function* readRecording(
  lines: Iterable<string> | AsyncIterable<string>,
): AsyncGenerator<{ at: number; data: string | ArrayBuffer; attempt: number }> {
  let start = 0;
  let now = 0;
  for await (const line of lines) {
    if (line.trim() === "") continue;
    const { at, direction, attempt = 1, text, base64 = "" }: Partial<RecordedFrame> = JSON.parse(
      line,
    );
    if (start + at! < now) start = now;
    now = start + at!;
    if (direction === "in") yield { at: now, data: text ?? fromBase64(base64), attempt };
  }
}

function toBase64(data: Exclude<Frame, string>): string {
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

function fromBase64(text: string): ArrayBuffer {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}
