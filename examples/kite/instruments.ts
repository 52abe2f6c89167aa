/**
 * Kite's list of instruments, which comes as CSV.
 *
 * @module
 */

/** Something to trade, or an index. */
export interface KiteInstrument {
  /** Its name in the feed and for candles; another one every day for derivatives. */
  readonly instrument_token: number;
  /** Its name at the exchange. */
  readonly exchange_token: number;
  /** Its name in orders, `"INFY"`. */
  readonly tradingsymbol: string;
  /** Whose it is, for equity. */
  readonly name: string;
  /** Always 0: the list is made once a day. */
  readonly last_price: number;
  /** The last day of a derivative, `"2026-11-26"`, or `""`. */
  readonly expiry: string;
  /** The strike of an option, or 0. */
  readonly strike: number;
  /** The smallest step of a price. */
  readonly tick_size: number;
  /** The smallest order. */
  readonly lot_size: number;
  /** `"EQ"`, `"FUT"`, `"CE"` or `"PE"`. */
  readonly instrument_type: string;
  /** `"NSE"`, `"NFO-OPT"` and so on. */
  readonly segment: string;
  /** `"NSE"`, `"BSE"`, `"NFO"` and so on. */
  readonly exchange: string;
}

/** Columns that must be there. */
const COLUMNS: readonly (keyof KiteInstrument)[] = [
  "instrument_token",
  "exchange_token",
  "tradingsymbol",
  "name",
  "last_price",
  "expiry",
  "strike",
  "tick_size",
  "lot_size",
  "instrument_type",
  "segment",
  "exchange",
];

/** Numbers that are 0 where the list has none. */
const OPTIONAL: ReadonlySet<string> = new Set(["strike", "last_price"]);

const NUMBERS: ReadonlySet<string> = new Set([
  "instrument_token",
  "exchange_token",
  "last_price",
  "strike",
  "tick_size",
  "lot_size",
]);

/** One field and its end: a field in quotes may hold anything. */
const FIELD = /(?:"((?:[^"]|"")*)"|([^",\r\n][^,\r\n]*|))(,|\r?\n|$)/y;

/**
 * Reads the list.
 *
 * @param csv The text, its first line naming the columns.
 * @returns The instruments, one for each line, at least one.
 * @throws {SyntaxError} If the text is another one, such as a page of HTML, or names no instrument.
 *   If a line has not as many fields as the first, or a quote is not closed.
 */
export function parseInstruments(csv: string): KiteInstrument[] {
  const [names = [], ...rows] = lines(csv);
  const missing = COLUMNS.find((column) => !names.includes(column));
  if (missing !== undefined) {
    const begins = JSON.stringify(csv.slice(0, 40));
    throw new SyntaxError(
      `Cannot read the list: it begins with ${begins}, wanted ${missing} in it`,
    );
  }
  if (rows.length === 0) {
    throw new SyntaxError("Cannot read the list: it names no instrument, wanted at least one");
  }
  return rows.map((row, i) => {
    if (row.length !== names.length) {
      throw new SyntaxError(
        `Cannot read instrument ${i + 1}: it has ${row.length} fields, wanted ${names.length}`,
      );
    }
    const fields = names.map((name, n) => [name, field(name, row[n])]);
    return Object.fromEntries(fields) as unknown as KiteInstrument;
  });
}

function field(name: string, text: string): string | number {
  if (!NUMBERS.has(name)) return text;
  const value = Number(text);
  if ((text !== "" || OPTIONAL.has(name)) && !Number.isNaN(value)) return value;
  throw new SyntaxError(
    `Cannot read the list: ${name} is ${JSON.stringify(text)}, wanted a number`,
  );
}

function lines(csv: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  for (FIELD.lastIndex = at; at < csv.length; at = FIELD.lastIndex) {
    const field = FIELD.exec(csv);
    if (!field) throw new SyntaxError(`Cannot read the list: a quote at ${at} is not closed`);
    const [, quoted, plain, end] = field;
    row.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
