/**
 * A recording of the venue's own frames (wire text, depth 10, BTC/USD): a snapshot and 509 updates.
 * It is not part of the repository: where it is absent, the tests on it are ignored.
 */
const file = new URL("../../../../shared/data/kraken-v2-book.ndjson", import.meta.url);

export const recording: readonly string[] | undefined = read();

function read(): string[] | undefined {
  try {
    return Deno.readTextFileSync(file).trimEnd().split("\n");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.warn(`No recording at ${file.pathname}: the tests on it are ignored`);
  }
}
