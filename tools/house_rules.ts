/**
 * The house rules for a single file, as a plugin of `deno lint`. `tools/house.ts` runs this plugin on
 * the library; CONTRIBUTING.md gives the reasons.
 *
 * A room, a function or a class above its size needs a comment that begins with the words of the
 * message and a colon, and then gives the reason. The comment stands right before the function or the
 * class, or in it, and for a room anywhere in the file.
 *
 * @module
 */

/** Largest sizes: lines of code in a room and in a function, private fields in a class. */
const SIZES = { room: 350, function: 40, fields: 10 };

type Context = Deno.lint.RuleContext;
type Ranged = { range: [number, number] };

/** The lines of code in a range: neither blank nor comment. */
function codeLines({ sourceCode }: Context, [start, end]: [number, number]): number {
  let code = sourceCode.text.slice(start, end);
  for (const { range: [from, to] } of sourceCode.getAllComments()) {
    if (from < start || to > end) continue;
    const blank = code.slice(from - start, to - start).replace(/[^\n]/g, " ");
    code = code.slice(0, from - start) + blank + code.slice(to - start);
  }
  return code.split("\n").filter((line) => line.trim() !== "").length;
}

/** Whether a comment with the reason stands in the range or ends within 3 lines before it. */
function hasReason({ sourceCode }: Context, [start, end]: [number, number], words: string) {
  return sourceCode.getAllComments().some(({ range: [from, to], value }) =>
    value.includes(`${words}:`) && from < end &&
    (to > start || sourceCode.text.slice(to, start).split("\n").length <= 3)
  );
}

function reportSize(context: Context, node: Deno.lint.Node & Ranged, size: number, words: string) {
  if (hasReason(context, node.range, words)) return;
  const message = `${words}: ${size}. Make it smaller, or write "${words}: <reason>" in a comment`;
  context.report({ range: [node.range[0], node.range[0] + 1], message });
}

function functionSize(context: Context): Deno.lint.LintVisitor {
  const check = (node: Deno.lint.Node & Ranged) => {
    const lines = codeLines(context, node.range);
    if (lines > SIZES.function) {
      reportSize(context, node, lines, `Longer than ${SIZES.function} lines`);
    }
  };
  return {
    FunctionDeclaration: check,
    FunctionExpression: check,
    ArrowFunctionExpression: check,
  };
}

function roomSize(context: Context): Deno.lint.LintVisitor {
  return {
    Program(node) {
      const lines = codeLines(context, [0, context.sourceCode.text.length]);
      if (lines > SIZES.room) reportSize(context, node, lines, `Longer than ${SIZES.room} lines`);
    },
  };
}

function classFields(context: Context): Deno.lint.LintVisitor {
  return {
    ClassDeclaration(node) {
      const fields = node.body.body.filter((member) =>
        member.type === "PropertyDefinition" && member.key.type === "PrivateIdentifier"
      );
      if (fields.length > SIZES.fields) {
        reportSize(context, node, fields.length, `More than ${SIZES.fields} private fields`);
      }
    },
  };
}

/** Refuses names and syntax that one of the runtimes lacks. */
function portable(context: Context): Deno.lint.LintVisitor {
  const testKit = /\/testing(?:\.ts|\/[^/]+\.ts)$/.test(context.filename);
  const imports = (node: { source?: unknown } & Ranged) => {
    const source = String((node.source as { value?: unknown } | null)?.value ?? "");
    if (!source.startsWith("node:") || testKit && /^node:(net|http)$/.test(source)) return;
    context.report({ range: node.range, message: `${source} is not there on every runtime` });
  };
  return {
    ImportDeclaration: imports,
    ImportExpression: imports,
    ExportNamedDeclaration: imports,
    ExportAllDeclaration: imports,
    MemberExpression(node) {
      if (node.object.type === "Identifier" && node.object.name === "Deno") {
        context.report({ range: node.range, message: "Deno.* is not there on every runtime" });
      }
    },
    VariableDeclaration(node) {
      if (node.kind === "using" || node.kind === "await using") {
        context.report({ range: node.range, message: "Node 22 cannot parse `using`" });
      }
    },
    Decorator(node) {
      context.report({ range: node.range, message: "Node 22 cannot parse decorators" });
    },
  };
}

/** Refuses state of a module, enums and default exports. */
function shape(context: Context): Deno.lint.LintVisitor {
  const report = (message: string) => (node: Ranged) => {
    context.report({ range: node.range, message });
  };
  return {
    "Program > VariableDeclaration[kind=let]": report("a module keeps no state: no `let` here"),
    TSEnumDeclaration: report("no enum: a union of strings reads the same everywhere"),
    ExportDefaultDeclaration: report("no default export: every export has one name"),
  };
}

const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "function-size": { create: functionSize },
    "room-size": { create: roomSize },
    "class-fields": { create: classFields },
    portable: { create: portable },
    shape: { create: shape },
  },
};

export default plugin;
