/**
 * The error of a request that cannot be sent as asked. Internal to {@linkcode Session}.
 *
 * @module
 */

/** Something that cannot be sent. Its message holds no value that was given, so it is safe to show. */
export class RequestError extends TypeError {
  /** `"RequestError"`. */
  override readonly name: string = "RequestError";
}
