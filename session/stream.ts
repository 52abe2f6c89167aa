/**
 * An answer as a stream of bytes. Internal to {@linkcode Session}.
 *
 * @module
 */

import type { BrokerError } from "../common/broker_error.ts";
import type { Call } from "./call.ts";
import { ReplyError } from "./reply_error.ts";

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
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  const { maxBytes } = call.request;
  let left = maxBytes;
  let breakOff = () => {};
  const end = call.stream((error?: BrokerError) => {
    signal.removeEventListener("abort", breakOff);
    onEnd(error);
  });
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller): void {
      call.stop.relax();
      breakOff = () => {
        controller.error(signal.reason);
        end(signal.reason);
        reader?.cancel().catch(() => {});
      };
      if (signal.aborted) breakOff();
      else signal.addEventListener("abort", breakOff);
    },
    async pull(controller): Promise<void> {
      try {
        call.limit("no further chunk");
        const { done = true, value } = await reader?.read() ?? {};
        call.stop.relax();
        if (signal.aborted) return; // broken off meanwhile
        left -= value?.length ?? 0;
        if (left < 0) {
          throw new ReplyError(`the answer is longer than ${maxBytes} bytes`, "too-large");
        }
        if (!done) return controller.enqueue(value as Uint8Array<ArrayBuffer>);
        controller.close();
        end();
      } catch (cause) {
        // An abort is the only way to a broken stream: it ends the connection too.
        call.stop.cancel(call.fate.explain(cause, signal));
      }
    },
    async cancel(reason): Promise<void> {
      end();
      await reader?.cancel(reason);
    },
  }, { highWaterMark: 0 });
}
