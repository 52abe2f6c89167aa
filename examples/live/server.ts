/**
 * Shows a demo in a browser: a page on 127.0.0.1, and a stream of what happens.
 *
 * @module
 */

import type { Figure } from "../stage.ts";
import type { Scene } from "../view.ts";

/** The files of the page, with their types. */
const FILES: Record<string, readonly [file: string, type: string]> = {
  "/": ["page.html", "text/html; charset=utf-8"],
  "/page.css": ["page.css", "text/css; charset=utf-8"],
  "/page.js": ["page.js", "text/javascript; charset=utf-8"],
};

/** The page may load nothing from anywhere else. */
const POLICY = "default-src 'self'; img-src data:";

/** Shortest time between two scenes, in milliseconds: as much as an eye can follow. */
const EVERY = 100;

/** Levels of a book that the page shows. */
const DEPTH = 10;

type Reader = ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;

/**
 * The page of one demo. It listens from its construction until it is disposed of.
 *
 * A reader that is slow gets fewer scenes, never old ones.
 */
export class LivePage implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #readers = new Set<Reader>();
  /** The last scene and the figures, for a page that comes later. */
  #scene = "";
  #figures = "";
  #shown = -Infinity;

  /**
   * Listens.
   *
   * @param port The port; `0` takes a free one.
   */
  constructor(port = 0) {
    const options = { hostname: "127.0.0.1", port, onListen() {} };
    this.#server = Deno.serve(options, (request) => this.#answer(request));
  }

  /** The address of the page. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  /**
   * Shows a scene, unless the last one is younger than a tenth of a second.
   *
   * @param scene The scene.
   */
  show(scene: Scene): void {
    const now = performance.now();
    if (now - this.#shown < EVERY) return;
    this.#shown = now;
    const ladders = scene.ladders.map((ladder) => ({
      ...ladder,
      bids: ladder.bids.slice(0, DEPTH),
      asks: ladder.asks.slice(0, DEPTH),
    }));
    this.#scene = event("scene", { ...scene, ladders });
    this.#send(this.#scene);
  }

  /**
   * Shows how it ended.
   *
   * @param figures The figures of the demo.
   */
  conclude(figures: readonly Figure[]): void {
    this.#figures = event("figures", figures);
    this.#send(this.#figures, true);
  }

  /** Ends the streams, and stops to listen. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const reader of this.#readers) reader.close();
    this.#readers.clear();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method !== "GET") return new Response(null, { status: 405 });
    if (pathname === "/events") return this.#listen();
    if (!Object.hasOwn(FILES, pathname)) return new Response(null, { status: 404 });
    const [file, type] = FILES[pathname];
    const body = await Deno.readFile(new URL(file, import.meta.url));
    return new Response(body, {
      headers: { "content-type": type, "content-security-policy": POLICY },
    });
  }

  /** Adds a page to those that see what happens. */
  #listen(): Response {
    let mine: Reader;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (reader) => {
        mine = reader;
        this.#readers.add(reader);
        reader.enqueue(new TextEncoder().encode(this.#scene + this.#figures));
      },
      cancel: () => void this.#readers.delete(mine),
    });
    const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
    return new Response(body, { headers });
  }

  #send(text: string, isLast = false): void {
    const bytes = new TextEncoder().encode(text);
    for (const reader of this.#readers) {
      if (isLast || (reader.desiredSize ?? 0) > 0) reader.enqueue(bytes);
    }
  }
}

/** One server-sent event. */
function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
