import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import {
  type CommandForm,
  parseWhole,
  type Program,
  readCommand,
  UsageError,
  usageOf,
} from "./command_line.ts";

const TEXT = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;

const PROGRAM: Program<CommandForm> = {
  start: "PLACE=… deno task shelf",
  commands: {
    list: { usage: "[--limit N]", does: "all there are", options: { limit: TEXT } },
    show: { usage: "ID", does: "one of them", words: [1, 1] },
    move: { usage: "ID [PLACE]", does: "to a place", words: [1, 2], options: { why: TEXT } },
    "move --all": {
      usage: "PLACE --all",
      does: "everything",
      words: [1, 1],
      options: { all: FLAG },
    },
  },
  options: { json: FLAG },
  notes: "ID is a number.",
};

const TYPED: [args: string[], does: string, words: string[], options: Record<string, unknown>][] = [
  [["list"], "all there are", [], {}],
  [["list", "--limit", "5", "--json"], "all there are", [], { limit: "5", json: true }],
  [["--limit=5", "list"], "all there are", [], { limit: "5" }],
  [["show", "1"], "one of them", ["1"], {}],
  [["move", "1", "--why", "x"], "to a place", ["1"], { why: "x" }],
  [["move", "1", "2"], "to a place", ["1", "2"], {}],
  [["move", "2", "--all"], "everything", ["2"], { all: true }],
  [["show", "--", "--x"], "one of them", ["--x"], {}],
];

for (const [args, does, words, options] of TYPED) {
  Deno.test(`"${args.join(" ")}" is parsed as intended`, () => {
    const { command, typed } = readCommand(PROGRAM, args);
    deepStrictEqual([command.does, typed.words, { ...typed.options }], [does, words, options]);
  });
}

const MISTYPED: [args: string[], says: RegExp][] = [
  [[], /^$/],
  [["remove"], /^$/],
  [["constructor"], /^$/],
  [["--all"], /^$/],
  [["list", "1"], /^$/],
  [["show"], /^$/],
  [["move", "1", "2", "3"], /^$/],
  [["list", "--limit"], /--limit/],
  [["list", "--json", "x"], /^$/],
  [["list", "--none"], /--none/],
  [["list", "--why", "x"], /^list takes no --why$/],
  [["move", "1", "--all", "--why", "x"], /^move --all takes no --why$/],
];

for (const [args, says] of MISTYPED) {
  Deno.test(`"${args.join(" ")}" is refused with the usage`, () => {
    throws(() => readCommand(PROGRAM, args), (error) => {
      return error instanceof UsageError && says.test(error.message);
    });
  });
}

Deno.test("the usage names every command with its arguments and options", () => {
  strictEqual(
    usageOf(PROGRAM),
    `usage: PLACE=… deno task shelf <command> [--json]
  list [--limit N]
      all there are
  show ID
      one of them
  move ID [PLACE]
      to a place
  move PLACE --all
      everything
ID is a number.`,
  );
});

Deno.test("a whole number is digits within its bounds and nothing else", () => {
  deepStrictEqual(["1", "007", "1000"].map((text) => parseWhole(text, [1, 1_000])), [1, 7, 1_000]);
  for (
    const text of ["", "0", "1001", "-1", "1.5", "1e2", " 1", "0x1", "1".repeat(10), undefined]
  ) {
    strictEqual(parseWhole(text, [1, 1_000]), undefined, String(text));
  }
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** How a program with this main function ends. */
async function ends(
  work: string,
  ending = "{ usage: 'USAGE', told: [RangeError] }",
): Promise<Ended> {
  const source = `import { RefusedError, runMain, UsageError } from "${new URL(
    "./command_line.ts",
    import.meta.url,
  )}";
    import { ConfigError } from "${new URL("./config.ts", import.meta.url)}";
    void [RefusedError, UsageError, ConfigError];
    await runMain(${ending}, async () => { await null; ${work} });`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", source],
    cwd: new URL(".", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  const err = text.decode(stderr).trim().replaceAll(/npx -y deno@[\d.]+ task/g, "deno task");
  return { code, out: text.decode(stdout).trim(), err };
}

const ENDINGS: [work: string, code: number, err: string][] = [
  ["", 0, ""],
  ["return 1;", 1, ""],
  ["throw new UsageError();", 2, "USAGE"],
  ["throw new UsageError('Say why');", 2, "Say why"],
  ["throw new RefusedError('It is taken');", 1, "It is taken"],
  ["throw new RangeError('A word of its own');", 1, "A word of its own"],
  ["throw new Error('boom');", 1, "Not done: boom"],
  ["throw 'text';", 1, "Not done: text"],
  [
    "throw Object.assign(new Error('x'), { code: '42P01' });",
    1,
    "The database lacks Lotline's tables: run deno task migrate (x)",
  ],
];

Deno.test("a program exits with its status, and reports the reason in a sentence", async () => {
  const seen = await Promise.all(ENDINGS.map(([work]) => ends(work)));
  for (const [at, [work, code, err]] of ENDINGS.entries()) {
    deepStrictEqual(seen[at], { code, out: "", err }, work);
  }
  const own = "{ failed: 2, misused: 1 }";
  strictEqual((await ends("throw new UsageError('y');", own)).code, 1);
  deepStrictEqual(await ends("throw new Error('x');", own), {
    code: 2,
    out: "",
    err: "Not done: x",
  });
});
