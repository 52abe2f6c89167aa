import { assertEquals } from "@std/assert";
import {
  circles,
  importsOf,
  intrusions,
  isTestable,
  type Library,
  testOf,
} from "../../tools/house.ts";
import plugin from "../../tools/house_rules.ts";

const library = (imports: Record<string, string[]>): Library => new Map(Object.entries(imports));

/** The rules that a file of the library breaks. */
function broken(source: string, path = "room.ts"): string[] {
  return Deno.lint.runPlugin(plugin, path, source).map(({ id }) => id);
}

const lines = (count: number) => Array.from({ length: count }, (_, n) => `a(${n});`).join("\n");

Deno.test("importsOf() finds imports, exports, types and dynamic imports, and none in a comment", () => {
  const source = [
    `/** @example import { x } from "./comment.ts" */`,
    `// import "./line.ts";`,
    `import { a } from "./a.ts";`,
    `import type { B } from "../b.ts";`,
    `export * from "./c/d.ts";`,
    `const e = await import("./e.ts");`,
    `import { delay } from "@std/async/delay";`,
  ].join("\n");
  assertEquals(importsOf("folder/room.ts", source), [
    "folder/a.ts",
    "b.ts",
    "folder/c/d.ts",
    "folder/e.ts",
  ]);
});

Deno.test("circles() finds a circle of imports and its way", () => {
  assertEquals(circles(library({ "a.ts": ["b.ts"], "b.ts": ["c.ts"], "c.ts": [] })), []);
  assertEquals(circles(library({ "a.ts": ["b.ts"], "b.ts": ["c.ts"], "c.ts": ["b.ts"] })), [
    "imports form a circle: b.ts -> c.ts -> b.ts",
  ]);
  assertEquals(circles(library({ "a.ts": ["a.ts"] })).length, 1);
});

Deno.test("intrusions() finds an import of another room's cupboard", () => {
  const clean = {
    "a.ts": ["a/x.ts", "common/c.ts", "b.ts"],
    "a/x.ts": ["a/y.ts", "platform/p.ts"],
  };
  assertEquals(intrusions(library(clean)), []);
  assertEquals(intrusions(library({ "b.ts": ["a/x.ts"] })), [
    "b.ts imports a/x.ts, which only a.ts and its folder may",
  ]);
  assertEquals(intrusions(library({ "common/c.ts": ["a/x.ts"] })).length, 1);
});

Deno.test("isTestable() tells functions, classes and values from types", () => {
  const types = [`export interface A {}`, `export type B = () => void;`, `export * from "./a.ts";`];
  for (const source of types) assertEquals(isTestable(source), false, source);
  const code = ["export function f() {}", "async function g() {}", "export abstract class C {}"];
  for (const source of [...code, "const a = 1;"]) assertEquals(isTestable(source), true, source);
});

Deno.test("testOf() names the file in the same place of tests/, or the one that the source names", () => {
  assertEquals(testOf("a/b.ts", "export const c = 1;"), "tests/a/b_test.ts");
  assertEquals(testOf("a/b.ts", "export type C = 1;"), undefined);
  const source = "/** Tested in `tests/a_test.ts`. */\nexport const c = 1;";
  assertEquals(testOf("a/b.ts", source), "tests/a_test.ts");
});

Deno.test("house/function-size counts lines of code, and accepts a reason in a comment", () => {
  const long = `function f() {\n${lines(39)}\n}`;
  assertEquals(broken(long), ["house/function-size"]);
  assertEquals(broken(`function f() {\n${lines(38)}\n}`), []);
  assertEquals(broken(`function f() {\n// why\n\n/* and\nwhy */\n${lines(38)}\n}`), []);
  assertEquals(broken(`// Longer than 40 lines: one table.\n${long}`), []);
  assertEquals(broken(long.replace("{\n", "{ // Longer than 40 lines: one table.\n")), []);
  assertEquals(broken(`// Longer than 40 lines: one table.\n\n\n\n${long}`), [
    "house/function-size",
  ]);
  assertEquals(broken(`class A { f() {\n${lines(39)}\n} }`), ["house/function-size"]);
  assertEquals(broken(`const f = () => {\n${lines(39)}\n};`), ["house/function-size"]);
});

Deno.test("house/room-size and house/class-fields count, and accept a reason", () => {
  assertEquals(broken(lines(351)), ["house/room-size"]);
  assertEquals(broken(`${lines(350)}\n// and why`), []);
  assertEquals(broken(`/** Longer than 350 lines: a table. */\n${lines(351)}`), []);
  const fields = (count: number) => Array.from({ length: count }, (_, n) => `#f${n} = 0;`).join("");
  assertEquals(broken(`class A {${fields(11)}}`), ["house/class-fields"]);
  assertEquals(broken(`class A {${fields(10)} #method() {} open = 1; }`), []);
  assertEquals(broken(`// More than 10 private fields: a state\nclass A {${fields(11)}}`), []);
});

Deno.test("house/portable refuses names and syntax that a runtime lacks", () => {
  const refused = [
    `Deno.env.get("A");`,
    `import net from "node:net";`,
    `export * from "node:net";`,
    `await import("node:net");`,
    `function f() { using a = b(); }`,
    `async function f() { await using a = b(); }`,
    `class A { @retry f() {} }`,
  ];
  for (const source of refused) assertEquals(broken(source), ["house/portable"], source);
  assertEquals(broken(`"Deno" in globalThis; const { Deno } = globalThis;`), []);
  assertEquals(broken(`import net from "node:net";`, "/a/testing.ts"), []);
  assertEquals(broken(`import net from "node:fs";`, "/a/testing.ts"), ["house/portable"]);
});

Deno.test("house/shape refuses state of a module, enums and default exports", () => {
  assertEquals(broken("let a = 1;"), ["house/shape"]);
  assertEquals(broken("enum A { B }"), ["house/shape"]);
  assertEquals(broken("export default 1;"), ["house/shape"]);
  assertEquals(broken("function f() { let a = 1; }"), []);
});
