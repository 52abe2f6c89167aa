/**
 * An answer as a stream of bytes. Internal to {@linkcode Session}.
 *
 * @module
 */

import type { BrokerError } from "../common/broker_error.ts";
import type { Call } from "./call.ts";
import { checkWhole, tooLarge } from "./reply.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * Makes a stream of an answer's body.
 *
 * - The next chunk is asked for when the reader wants it, and has the time of one attempt.
 * - The call goes on until the stream is read to its end, cancelled, or broken. A broken stream
 *   rejects its reader with the call's {@linkcode BrokerError}.
 *
 * @param response The answer.
 * @param call The call, whose `maxBytes` limits the stream.
 * @param signal The signal of the request.
 * @param onEnd Told of the end: with the error if the stream broke.
 * @returns The stream.
 */
export function streamOf(
  response: Response,
  call: Call,
  signal: AbortSignal,
  onEnd: (error?: BrokerError) => void,
): ReadableStream<Bytes> {
  return new ReadableStream(new Source(response, call, signal, onEnd), { highWaterMark: 0 });
}

/** The source of a stream: the body of an answer. */
class Source implements UnderlyingDefaultSource<Bytes> {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #call: Call;
  readonly #signal: AbortSignal;
  readonly #end: (error?: BrokerError) => void;
  readonly #response: Response;
  /** How many bytes have come. */
  #size = 0;
  #break: () => void = () => {};

  constructor(
    response: Response,
    call: Call,
    signal: AbortSignal,
    onEnd: (error?: BrokerError) => void,
  ) {
    this.#response = response;
    this.#reader = response.body?.getReader();
    this.#call = call;
    this.#signal = signal;
    this.#end = call.stream((error) => {
      signal.removeEventListener("abort", this.#break);
      onEnd(error);
    });
  }

  /** Breaks the stream once the call is ended, even while nobody reads. */
  start(controller: ReadableStreamDefaultController<Bytes>): void {
    this.#call.stop.relax(); // the headers are there
    this.#break = () => {
      controller.error(this.#signal.reason);
      this.#end(this.#signal.reason);
      this.#reader?.cancel().catch(() => {}); // of a fetch that does not obey the signal
    };
    if (this.#signal.aborted) this.#break();
    else this.#signal.addEventListener("abort", this.#break);
  }

  /** Reads one chunk. */
  async pull(controller: ReadableStreamDefaultController<Bytes>): Promise<void> {
    const { stop, fate } = this.#call;
    try {
      this.#call.limit(() => "no further chunk");
      const { done = true, value } = await this.#reader?.read() ?? {};
      if (this.#signal.aborted) return;
      stop.relax();
      if (done) {
        checkWhole(this.#response, this.#size);
        controller.close();
        return this.#end();
      }
      this.#size += value!.length;
      const { maxBytes } = this.#call.request;
      if (this.#size > maxBytes) throw tooLarge(maxBytes);
      controller.enqueue(value as Bytes);
    } catch (cause) {
      // The abort breaks the stream, and ends the connection too.
      stop.cancel(fate.explain(cause, this.#signal));
    }
  }

  /** Gives the rest of the answer up. */
  async cancel(reason: unknown): Promise<void> {
    this.#end();
    await this.#reader?.cancel(reason);
  }
}
