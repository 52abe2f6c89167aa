/**
 * Undoes the escapes of a text, so that two spellings of one value can be compared. Internal to
 * {@linkcode Session}.
 *
 * @module
 */

/** A text in one spelling, and the place of each character in the text. */
export interface Spelling {
  chars: string;
  starts?: number[];
  ends?: number[];
}

/** Spells a text twice: as it is, and with all its escapes undone. Both are in lower case. */
export function spellings(text: string): Spelling[] {
  const plain = text.toWellFormed();
  if (/^[\x20-\x24\x27-\x2a\x2c-\x5b\x5d-\x7e]*$/.test(plain)) {
    return [{ chars: plain.toLowerCase() }]; // the two are the same
  }
  return [respell(plain, false), respell(plain, true)];
}

/**
 * Spells a text in one way: each letter in lower case, each white space and each `+` as a space.
 * The text is read from the end. So the characters after an escape are undone already when the
 * escape is met, and one pass undoes all escapes, however deep they are within each other.
 */
function respell(text: string, isUndone: boolean): Spelling {
  const stack = new Stack();
  for (let at = text.length - 1; at >= 0; at--) {
    const code = text.charCodeAt(at);
    if (isUndone && (code === 0x25 || code === 0x26 || code === BACKSLASH)) {
      unescape(code, at, at + 1, stack);
    } else stack.push(code, at, at + 1);
  }
  const chars = stack.codes.reverse().map((code) => String.fromCharCode(code)).join("");
  return { chars, starts: stack.starts.reverse(), ends: stack.ends.reverse() };
}

const BACKSLASH = 0x5c;

/** The beginnings of escapes, and how each goes on in lower case. */
const ESCAPES: Record<string, RegExp> = {
  "%": /^([\da-f]{2})/,
  "&": /^#x([\da-f]{1,8});|^#(\d{1,9});|^([a-z]\w{1,7});/,
  "\\": /^(?:u([\da-f]{4}))?/,
};

/** HTML's names of ASCII characters, each before its character. */
const ASCII =
  "tab\t newline\n excl! quot\" num# dollar$ percnt% amp& apos' lpar( rpar) ast* plus+ comma, " +
  "period. sol/ colon: semi; lt< equals= gt> quest? commat@ lsqb[ lbrack[ bsol\\ rsqb] rbrack] hat^ " +
  "lowbar_ grave` lcub{ lbrace{ verbar| vert| rcub} rbrace} divide\xf7 yuml\xff";

/** HTML's names of the characters of Latin-1 from 160 on; capitals are spelt as small letters. */
const LATIN =
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn " +
  "sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest agrave aacute acirc " +
  "atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve " +
  "oacute ocirc otilde ouml times oslash ugrave uacute ucirc uuml yacute thorn szlig";

const NAMED: ReadonlyMap<string, number> = new Map([
  ...ASCII.split(" ").map((name) => [name.slice(0, -1), name.charCodeAt(name.length - 1)] as const),
  ...LATIN.split(" ").map((name, i) => [name, 0xa0 + i] as const),
]);

/**
 * Puts a character on the stack, or the character that an escape spells. A backslash stands for
 * nothing unless a `u` follows. In a row of backslashes only the last can mean something.
 */
function unescape(code: number, start: number, end: number, stack: Stack): void {
  while (true) {
    if (code === BACKSLASH && stack.escaped === end) return stack.escape(start);
    const char = code < 0x7f ? String.fromCharCode(code) : "";
    const match = ESCAPES[char]?.exec(stack.peek(12));
    if (!match) return stack.push(code, start, end);
    const [{ length }, hex, decimal, name] = match;
    if (length === 0) return stack.escape(start);
    const spelt = hex ? parseInt(hex, 16) : NAMED.get(name) ?? Number(decimal);
    if (!(spelt <= 0x10ffff)) return stack.push(code, start, end);
    if (code === BACKSLASH) stack.escaped = start;
    end = stack.drop(length, end);
    code = spelt;
    if (char === "%" && code > 0x7f) return stack.pushByte(code, start, end);
  }
}

/**
 * Marks a byte of UTF-8 that a percent escape spelt. A byte that begins no character is one of
 * Latin-1.
 */
const BYTE = 0x10000;

/** A stack of characters, the next one of the text on top, with the places in the text. */
class Stack {
  readonly codes: number[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  /** Where the last backslash began. */
  escaped = -1;

  /** The next characters of ASCII, as text. */
  peek(length: number): string {
    let text = "";
    for (let at = this.codes.length - 1; text.length < length && at >= 0; at--) {
      const { [at]: code } = this.codes;
      if (code > 0x7e) break;
      text += String.fromCharCode(code);
    }
    return text;
  }

  /** Takes characters off, and returns the end of the last one in the text. */
  drop(count: number, end: number): number {
    if (count === 0) return end;
    this.codes.length -= count;
    this.starts.length -= count;
    return this.ends.splice(-count)[0];
  }

  /** Makes a backslash a part of the character after it. */
  escape(start: number): void {
    this.escaped = start;
    if (this.starts.length > 0) this.starts[this.starts.length - 1] = start;
  }

  /** Puts a character on top, in lower case. The German sharp s becomes two characters. */
  push(code: number, start: number, end: number): void {
    if (code < 0x80) return this.#put(foldAscii(code), start, end);
    const char = String.fromCodePoint(code);
    const units = code < BYTE ? char.toUpperCase().toLowerCase().replace("\xa0", " ") : char;
    for (let i = units.length - 1; i >= 0; i--) this.#put(units.charCodeAt(i), start, end);
  }

  /** Puts a byte of UTF-8 on top, or the whole character if the byte begins one. */
  pushByte(byte: number, start: number, end: number): void {
    const count = byte < 0xc2 || byte > 0xf4 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    const rest = count > 0 ? this.codes.slice(-count).reverse() : [];
    if (
      count > 0 && rest.length === count && rest.every((code) => code >> 6 === (BYTE | 0x80) >> 6)
    ) {
      const code = rest.reduce((code, next) => code << 6 | next & 0x3f, byte & 0x3f >> count);
      this.push(code, start, this.drop(count, end));
    } else if (byte < 0xc0) this.#put(BYTE | byte, start, end);
    else this.push(byte, start, end);
  }

  #put(code: number, start: number, end: number): void {
    this.codes.push(code);
    this.starts.push(start);
    this.ends.push(end);
  }
}

function foldAscii(code: number): number {
  if (code === 0x2b || (code >= 8 && code <= 13)) return 0x20; // + and white space
  return code >= 65 && code <= 90 ? code + 32 : code;
}
