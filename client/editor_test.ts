import { deepStrictEqual, match, ok } from "node:assert/strict";
import { dirname } from "node:path";
import ts from "typescript";
import { installClient, nodeVersion } from "../testing/client_package.ts";

/* What an editor shows of the published package, by TypeScript's own language service. */

const PROGRAM = `
import { createClient, LotlineError } from "@lotline/client";

const client = createClient({ baseUrl: "http://127.0.0.1:8000" });
try {
  const lot = await client.createLot({ lot_code: "RAW-1", weight_kg: "12.50" });
  const { central, parents } = await client.getTraceability(lot.lot_code);
  const started = await client.createDeepTrace({ lot_code: "RAW-1", direction: "both" });
  for await (const page of client.deepTracePages(started.id)) console.log(page.result.links);
  for await (const line of client.deepTraceLines(started.id)) console.log(line);
  for await (const audit of client.audits({ limit: 10 })) console.log(audit.state, audit.summary);
  for await (const finding of client.auditFindings("1")) console.log(finding.kind);
  console.log(central.weight_kg, parents);
} catch (error) {
  if (error instanceof LotlineError) console.log(error.kind, error.details);
}
`;

/** A place in the program by the text that ends there; the type it shows, and of its comment. */
const SHOWN: [place: string, type: string, comment: RegExp][] = [
  ["client.createLot", "(lot: LotInput, options?: PostOptions): Promise<Lot>", /^Stores a lot\./],
  ["{ lot_code", "LotCodeInput", /^The code that people scan/],
  [", weight_kg", "DecimalInput | undefined", /^Its weight in kilograms/],
  ["const lot", "Lot", /^$/],
  [
    "client.getTraceability",
    "(lotCode: string, options?: CallOptions): Promise<Trace>",
    /^A lot with its parents/,
  ],
  ["{ central", "Lot", /./],
  [", parents", "Lot[]", /./],
  ["central.weight_kg", "string | null", /^Its weight in kilograms/],
  [
    "client.createDeepTrace",
    "(trace: DeepTraceInput, options?: PostOptions): Promise<DeepTrace>",
    /^Begins a deep trace/,
  ],
  ["const started", "DeepTrace", /^$/],
  ["const page", "FinishedDeepTrace", /^$/],
  ["page.result", "DeepTraceResult", /^/],
  ["page.result.links", "DeepTraceLink[]", /^The links of this page/],
  ["const line", "DeepTraceLine", /^$/],
  [
    "client.audits",
    "(options?: CallOptions & AuditsQuery): AsyncGenerator<Audit, void, undefined>",
    /^All audits/,
  ],
  ["{ limit", "number | undefined", /^The most audits on a page/],
  ["const audit", "Audit", /^$/],
  ["audit.summary", "AuditSummary | null", /./],
  ["const finding", "AuditFinding", /^$/],
  ["finding.kind", "AuditFindingKind", /./],
  ["error.kind", "ErrorKind", /^What went wrong/],
  ["error.details", "readonly ErrorDetail[]", /^The places of the request/],
];

const hasNode = await nodeVersion() >= 20;
const skipped = hasNode ? "" : " (skipped: there is no Node 20 or later with npm on this machine)";

/** The README's example in TypeScript: decimals are text, and no kind of error is made up. */
async function typedExample(): Promise<string> {
  const page = await Deno.readTextFile(new URL("README.md", import.meta.url));
  const [, example = ""] = /```js\n([^]*?)```/.exec(page) ?? [];
  const logout = "  await lotline.logout();\n";
  ok(example.includes(logout));
  return example.replace(
    logout,
    `const kilograms: string | null = lot.weight_kg;
// @ts-expect-error: no number
const number: number = lot.weight_kg;
// @ts-expect-error: no such kind
if (again instanceof LotlineError && again.kind === "nope") console.log(kilograms, number);
`,
  );
}

Deno.test({
  name: `an editor shows the client's types by name, with the contract's sentences${skipped}`,
  ignore: !hasNode,
  fn: async () => {
    await using consumer = await installClient();
    const file = `${consumer.folder}/program.ts`;
    await Deno.writeTextFile(file, PROGRAM);
    const example = `${consumer.folder}/example.ts`;
    await Deno.writeTextFile(example, await typedExample());
    const service = languageService(file, example);
    deepStrictEqual([...problemsOf(service, file), ...problemsOf(service, example)], []);
    for (const [place, type, comment] of SHOWN) {
      const start = PROGRAM.indexOf(place);
      ok(start !== -1, place);
      const info = service.getQuickInfoAtPosition(file, start + place.length - 1);
      // "(property) Trace.central: Lot", "const lot: Lot", "(method) LotlineClient.createLot(…): …"
      const shown = ts.displayPartsToString(info?.displayParts).replaceAll(/\s+/g, " ");
      ok(shown.endsWith(type.startsWith("(") ? type : `: ${type}`), `${place} is ${shown}`);
      match(ts.displayPartsToString(info?.documentation), comment, `${place}: ${shown}`);
    }
  },
});

function languageService(...files: [string, ...string[]]): ts.LanguageService {
  const settings = {
    strict: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    types: [],
  };
  const { fileExists, readFile, directoryExists, getDirectories, realpath } = ts.sys;
  const system = { fileExists, readFile, directoryExists, getDirectories, realpath };
  return ts.createLanguageService({
    ...system,
    getScriptFileNames: () => files,
    getScriptVersion: () => "1",
    getScriptSnapshot: (path) => {
      const text = readFile(path);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => dirname(files[0]),
    getCompilationSettings: () => settings,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
  });
}

function problemsOf(service: ts.LanguageService, file: string): string[] {
  return service.getSemanticDiagnostics(file)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}
