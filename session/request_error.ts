/**
 * The error of a request that cannot be sent as asked. Internal to {@linkcode Session}.
 *
 * @module
 */

/**
 * A request that cannot be sent. The message holds no value of the request, so it is safe to show.
 */
export class RequestError extends TypeError {
  /** `"RequestError"`. */
  override readonly name: string = "RequestError";
}
