import { assertEquals } from "@std/assert";
import { type Docs, judgeDocs, judgeExamples, judgeSettings } from "../../tools/score.ts";

/** A module whose symbols are documented or not. */
function module(doc: string | undefined, ...symbols: boolean[]): Docs {
  const nodes = {
    "file:///a.ts": {
      ...(doc !== undefined && { module_doc: { doc } }),
      symbols: symbols.map((isDocumented) => ({
        name: "a",
        declarations: [isDocumented ? { jsDoc: { doc: "Does." } } : {}],
      })),
    },
  };
  return { nodes };
}

Deno.test("judgeDocs() wants a doc of each module, and of 80 in 100 symbols", () => {
  const judge = (...modules: Docs[]) =>
    judgeDocs(new Map(modules.map((docs, i) => [`./m${i}`, docs])))
      .map(({ isMet, found }) => [isMet, found]);
  const four = [true, true, true, true];
  assertEquals(judge(module("Doc.", ...four, false)), [[true, "1 of 1"], [true, "4 of 5"]]);
  assertEquals(judge(module("Doc.", true, true, true, false)), [[true, "1 of 1"], [
    false,
    "3 of 4",
  ]]);
  assertEquals(judge(module("Doc.", true), module(undefined, true), module("", true)), [
    [false, "without: ./m1, ./m2"],
    [true, "3 of 3"],
  ]);
  assertEquals(judge().map(([isMet]) => isMet), [false, false]);
});

Deno.test("judgeExamples() wants an example of every symbol, in one of its declarations", () => {
  const jsDoc = { doc: "Does.", tags: [{ kind: "param" }, { kind: "example" }] };
  const judge = (...symbols: Docs["nodes"][string]["symbols"]) => {
    const { isMet, found } = judgeExamples(new Map([["./m", { nodes: { "a.ts": { symbols } } }]]));
    return [isMet, found];
  };
  const good = { name: "good", declarations: [{}, { jsDoc }] };
  const bare = { name: "bare", declarations: [{ jsDoc: { tags: [{ kind: "param" }] } }] };
  assertEquals(judge(good), [true, "1 of 1"]);
  assertEquals(judge(good, bare, { name: "bad", declarations: [] }), [false, "without: bare, bad"]);
  assertEquals(judge()[0], false);
});

Deno.test("judgeSettings() wants a description that JSR takes, and two runtimes", () => {
  const judge = (text: string) => judgeSettings(text).map(({ isMet }) => isMet);
  const page = (description: string, runtimes: string) =>
    `# Settings\n\n- Description: ${description}\n- Runtimes: ${runtimes}\n`;
  assertEquals(judge(page("Does.", "Deno, Node and Bun are compatible")), [true, true, true]);
  assertEquals(judge(page("Does.", "Deno are compatible; Bun is not")), [true, true, false]);
  assertEquals(judge(page("x".repeat(251), "none")), [false, false, false]);
  assertEquals(judge(page(`two\n  lines`, "Deno,\n  Node are compatible")), [true, true, true]);
  assertEquals(judge(""), [false, false, false]);
});
