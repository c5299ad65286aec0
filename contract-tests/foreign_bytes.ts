/** One place in the source that reads text: a regular expression, a split, a parser. */
export interface Reading {
  readonly file: string;
  /** Its text in docs/foreign-bytes.md. */
  readonly text: string;
  /** For a literal regular expression. */
  readonly pattern?: RegExp;
}

const ROOT = new URL("../", import.meta.url);

/**
 * Files that only read this machine's own text: settings, arguments, tools, files of the project.
 */
const OWN = [
  /_test\.ts$/,
  /\.gen\.ts$/,
  /^(?:bench|containers|contract-tests|dev|faults|releasing|testing|\.data)\//,
  /^cutover\/(?:bench|cli|faults|legacy|odd_requests|practice|testing)\//,
  /^(?:client\/build|client\/dist\/.*|command_line|contract\/(?:generate|named_schemas)|task_help|terminal)\.ts$|^(?:\w+\/)?config\.ts$/,
  /^db\/(?:migrat\w*|grants|rights)\.ts$/,
  /_main\.ts$/,
];

const METHODS: ReadonlySet<string> = new Set([
  "match",
  "matchAll",
  "replace",
  "replaceAll",
  "search",
  "split",
  "trim",
  "trimEnd",
  "trimStart",
]);
const PARSERS: ReadonlySet<string> = new Set([
  "Buffer.concat",
  "JSON.parse",
  "RegExp",
  "URL",
  "URLSearchParams",
  "contentType.parse",
  "decodeURIComponent",
  "fresh",
  "mediaTyper.parse",
  "parseJson",
]);

/**
 * Every place where a file of the service, the gateway, the client or the parity tools reads text.
 */
export async function readings(): Promise<Reading[]> {
  const found: Reading[] = [];
  for (const file of (await sourceFiles("")).sort()) {
    Deno.lint.runPlugin(collector(file, found), file, await Deno.readTextFile(new URL(file, ROOT)));
  }
  return found;
}

async function sourceFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder || ".", ROOT))) {
    const path = `${folder}${name}`;
    if (isDirectory && !name.startsWith(".") && name !== "node_modules") {
      if (!OWN.some((own) => own.test(`${path}/`))) files.push(...await sourceFiles(`${path}/`));
    } else if (name.endsWith(".ts") && !OWN.some((own) => own.test(path))) files.push(path);
  }
  return files;
}

/** A lint rule that reports nothing, used for the syntax tree that it receives. */
function collector(file: string, found: Reading[]): Deno.lint.Plugin {
  const create = ({ sourceCode }: Deno.lint.RuleContext): Deno.lint.LintVisitor => {
    const textOf = (node: Deno.lint.Node) => sourceCode.getText(node).replaceAll(/\s+/g, " ");
    const addCall = ({ callee, arguments: values }: Call) => {
      const name = textOf(callee);
      if (PARSERS.has(name)) found.push({ file, text: name });
      if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier") return;
      const method = callee.property.name;
      if (!METHODS.has(method) || values.some(isPattern)) return;
      found.push({ file, text: `.${method}(${values.map(textOf).join(", ").slice(0, 40)})` });
    };
    return {
      Literal(node) {
        if (!isPattern(node)) return;
        const { pattern, flags } = node.regex;
        found.push({ file, text: node.raw, pattern: new RegExp(pattern, flags) });
      },
      CallExpression: addCall,
      NewExpression: addCall,
    };
  };
  return { name: "foreign-bytes", rules: { collect: { create } } };
}

type Call = Pick<Deno.lint.CallExpression, "callee" | "arguments">;

/** Deno sets the property on every literal. */
function isPattern(node: Deno.lint.Node): node is Deno.lint.RegExpLiteral {
  return node.type === "Literal" && "regex" in node && node.regex !== undefined;
}
