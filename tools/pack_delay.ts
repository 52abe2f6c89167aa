/**
 * The dependency of the packed module, to be bundled.
 *
 * @module
 */

export { delay } from "@std/async/delay";
