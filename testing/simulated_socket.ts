/**
 * A WebSocket in memory. Internal to `testing.ts`.
 *
 * @module
 */

import type { FeedClient, FeedScript, VenueFrame, Wire } from "./feed_script.ts";
import { refusalWords, type SimulatedRuntime, SOCKET_ENDS } from "./runtimes.ts";

/** What a socket must know of its venue. */
interface Network {
  readonly feed: FeedScript;
  readonly runtime: SimulatedRuntime;
  /** Waits as long as one way takes. */
  travel(): Promise<void>;
  isDown(): boolean;
}

/** Bytes or text as a program sends them. */
type Data = string | ArrayBufferLike | Blob | ArrayBufferView;

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/**
 * The client's end of a simulated connection: the part of `WebSocket` that programs use. Frames keep
 * their order on each way.
 */
export class SimulatedSocket extends EventTarget implements Omit<WebSocket, "addEventListener"> {
  readonly CONNECTING: 0 = CONNECTING;
  readonly OPEN: 1 = OPEN;
  readonly CLOSING: 2 = CLOSING;
  readonly CLOSED: 3 = CLOSED;
  readonly url: string;
  readonly extensions = "";
  readonly protocol = "";
  readonly bufferedAmount = 0;
  binaryType: BinaryType = "blob";
  readyState: 0 | 1 | 2 | 3 = CONNECTING;
  // deno-lint-ignore no-explicit-any -- as the DOM's types say
  onopen: ((this: WebSocket, event: Event) => any) | null = null;
  // deno-lint-ignore no-explicit-any -- as the DOM's types say
  onmessage: ((this: WebSocket, event: MessageEvent) => any) | null = null;
  // deno-lint-ignore no-explicit-any -- as the DOM's types say
  onerror: ((this: WebSocket, event: Event) => any) | null = null;
  // deno-lint-ignore no-explicit-any -- as the DOM's types say
  onclose: ((this: WebSocket, event: CloseEvent) => any) | null = null;
  readonly #network: Network;
  #client: FeedClient | undefined;
  /** The last thing on its way to the client, and to the venue: nothing overtakes it. */
  #down = Promise.resolve();
  #up = Promise.resolve();

  /** Begins to connect. */
  constructor(url: string, path: string, headers: Headers, network: Network) {
    super();
    this.url = url;
    this.#network = network;
    void this.#connect(path, headers);
  }

  send(data: Data): void {
    if (this.readyState === CONNECTING) {
      throw new DOMException("The socket is connecting", "InvalidStateError");
    }
    if (this.readyState !== OPEN) return;
    const frame = toFrame(data);
    this.#travelUp(() => {
      if (this.#client?.isOpen) this.#network.feed.hear(frame, this.#client);
    });
  }

  close(code = 1005, reason = ""): void {
    if (this.readyState >= CLOSING) return;
    const isConnecting = this.readyState === CONNECTING;
    this.readyState = CLOSING;
    if (isConnecting) return this.#travelDown(() => this.#break("refused"));
    this.#travelUp(() => {
      const client = this.#client;
      if (!client?.isOpen) return;
      client.closeCode = code;
      if (this.#network.feed.isDeaf || client.isSilent) return;
      client.isOpen = false;
      this.#travelDown(() => this.#end(code, reason, true));
    });
  }

  async #connect(path: string, headers: Headers): Promise<void> {
    const { feed, travel, isDown } = this.#network;
    await travel();
    if (isDown()) return this.#travelDown(() => this.#break("refused"));
    const admission = await feed.admit({ path, headers });
    if (admission.verdict === "hang") return;
    if (admission.verdict === "refuse") {
      return this.#travelDown(() => this.#break("refused", admission.status));
    }
    if (this.readyState === CLOSED) return; // the client's end came before its request
    this.#travelDown(() => {
      if (this.readyState !== CONNECTING) return;
      this.readyState = OPEN;
      this.#tell("open", {});
    });
    this.#client = feed.add(path, headers, this.#wire());
  }

  /** The venue's end. */
  #wire(): Wire {
    const end = (finish: () => void) => {
      // `onOpen` may end the connection while the script still adds the client.
      this.#client ??= this.#network.feed.all.at(-1)!;
      this.#client.isOpen = false;
      this.#travelDown(finish);
    };
    return {
      write: (frame: VenueFrame) =>
        this.#travelDown(() => {
          if (this.readyState === OPEN || this.readyState === CLOSING) {
            this.#tell("message", { data: this.#toData(frame) });
          }
        }),
      close: (code = 1005, reason = "") => end(() => this.#end(code, reason, true)),
      reset: () => end(() => this.#break("broken")),
      finish: () => end(() => this.#break("broken")),
    };
  }

  #toData(frame: VenueFrame): string | ArrayBuffer | Blob {
    if (typeof frame === "string") return frame;
    return this.binaryType === "arraybuffer" ? frame.slice().buffer : new Blob([frame]);
  }

  #travelDown(arrive: () => void): void {
    const travel = this.#network.travel();
    this.#down = this.#down.then(() => travel).then(arrive);
  }

  #travelUp(arrive: () => void): void {
    const travel = this.#network.travel();
    this.#up = this.#up.then(() => travel).then(arrive);
  }

  /** The end of a connection as the runtime tells it, with the status if an upgrade was refused. */
  #break(how: "refused" | "broken", status?: number): void {
    const { runtime } = this.#network;
    const { error, code } = SOCKET_ENDS[runtime][how];
    if (this.readyState === CLOSED) return;
    if (this.#client) this.#client.isOpen = false;
    if (error) {
      this.#tell("error", status ? { message: refusalWords(runtime, this.url, status) } : {});
    }
    if (code !== undefined) this.#end(code, "", false);
    else this.readyState = CLOSED;
  }

  #end(code: number, reason: string, wasClean: boolean): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#tell("close", { code, reason, wasClean });
  }

  #tell(type: "open" | "message" | "error" | "close", facts: object): void {
    const event = Object.assign(new Event(type), facts);
    // deno-lint-ignore no-explicit-any -- the event has what its type says
    this[`on${type}`]?.call(this as unknown as WebSocket, event as any);
    this.dispatchEvent(event);
  }
}

function toFrame(data: Data): VenueFrame {
  if (typeof data === "string") return data;
  if (data instanceof Blob) throw new TypeError("Cannot send a Blob: wanted text or bytes");
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice()
    : new Uint8Array(data).slice() as Uint8Array<ArrayBuffer>;
}
