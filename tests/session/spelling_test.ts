import { assertEquals } from "@std/assert";
import { spellings } from "../../session/spelling.ts";

/** A text with all its escapes undone. */
function undone(text: string): string {
  return spellings(text).at(-1)!.chars;
}

Deno.test("spellings() undoes each escape, and those within others", () => {
  for (
    const [text, plain] of [
      ["aB3\\/cD", "ab3/cd"],
      ["\\u002B\\u002f", " /"],
      ["\\\\u002f \\\\\\/", "/ /"],
      ["\\u005cu002f", "/"],
      ["\\\\u0075\\\\u0030\\\\u0030\\\\u0034\\\\u0031", "u0041"],
      ["&#x2F;&#47;&sol;&SOL;", "////"],
      ["&amp;#x2F; &amp;amp;lt;", "/ <"],
      ["%2f%252F%25252f", "///"],
      ["\\u00252F &#37;2F", "/ /"],
      ["a+b\tc\u00a0d", "a b c d"],
      ["%C3%A9 %E9 &eacute; \\u00c9 É", "é é é é é"],
      ["%F0%9F%94%91 &#128273; \\ud83d\\udd11", "🔑 🔑 🔑"],
      ["&uuml;&szlig; STRASSE straße", "üss strasse strasse"],
      ["ΣΑΣ σας", "σασ σασ"],
    ]
  ) assertEquals(undone(text), plain);
});

Deno.test("spellings() leaves what only looks like an escape", () => {
  for (
    const text of ["100%", "5%zz", "a & b", "&nosuch;", "&#xffffffff;", "&;", "&#;", "%", "x=%2"]
  ) {
    assertEquals(undone(text), text);
  }
});

Deno.test("spellings() knows the place of each character", () => {
  const text = 'x%252Fy&amp;\\u0041\\"z';
  const { chars, starts, ends } = spellings(text).at(-1)!;
  assertEquals(chars, 'x/y&a"z');
  const parts = [...chars].map((_, i) => text.slice(starts![i], ends![i]));
  assertEquals(parts, ["x", "%252F", "y", "&amp;", "\\u0041", '\\"', "z"]);
});

Deno.test("spellings() gives the text as it is too", () => {
  assertEquals(spellings("Key%41").map(({ chars }) => chars), ["key%41", "keya"]);
  assertEquals(spellings("Plain text").map(({ chars }) => chars), ["plain text"]);
});
