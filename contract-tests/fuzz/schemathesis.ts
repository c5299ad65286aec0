import { join } from "node:path";
import { PROJECT_FOLDER } from "../../dev/state_folder.ts";
import {
  ensurePythonPackages,
  type PythonPackages,
  pythonProgram,
} from "../../testing/python_packages.ts";
import type { Instance } from "./instance.ts";
import { patternsOf } from "./mode_document.ts";

/*
 * Schemathesis as a program: installed into `.venv` with exactly the hashed packages of
 * requirements.txt, and run with the settings of schemathesis.toml.
 */

const HERE = join(PROJECT_FOLDER, "contract-tests", "fuzz");
const PACKAGES: PythonPackages = {
  name: "schemathesis",
  user: "deno task fuzz",
  requirements: join(HERE, "requirements.txt"),
  folder: join(PROJECT_FOLDER, ".venv"),
};

/** Installs it. @throws as {@link ensurePythonPackages} */
export const installSchemathesis = (progress: (line: string) => void): Promise<void> =>
  ensurePythonPackages(PACKAGES, progress);

/** The parameters of a run. */
export interface SchemathesisRun
  extends Pick<Instance, "url" | "accounts" | "references" | "taken"> {
  /** The file with the document. */
  readonly document: string;
  readonly seed: number;
  /** The most examples for an operation in the fuzzing phase. */
  readonly examples: number;
  /** The most sequences of operations in the stateful phase. */
  readonly sequences: number;
  /** Only this operation, by its id. */
  readonly operation?: string;
  /** The path of its files: `<name>.xml` (JUnit), `.ndjson` (all events) and `.log`. */
  readonly folder: string;
  readonly name: string;
}

/** The result of a run. */
export interface SchemathesisResult {
  /** Whether it had no failures and no warnings. */
  readonly isGreen: boolean;
  readonly output: string;
  /** The file with all events, one a line. */
  readonly events: string;
}

/** Runs all phases and all checks. */
export async function runSchemathesis(options: SchemathesisRun): Promise<SchemathesisResult> {
  const { url, accounts, references, taken, document, seed, operation, folder, name } = options;
  const events = join(folder, `${name}.ndjson`);
  // Files that schemathesis keeps for its next run, apart from its working directory and settings,
  // are removed with this folder.
  await using own = new AsyncDisposableStack();
  const scratch = await Deno.makeTempDir({ prefix: "lotline-fuzz-" });
  own.defer(() => Deno.remove(scratch, { recursive: true }));
  const settings = join(scratch, "schemathesis.toml");
  await Deno.writeTextFile(settings, await settingsFor(options));
  const { success, stdout, stderr } = await new Deno.Command(
    pythonProgram(PACKAGES, "schemathesis"),
    {
      args: [
        ...["--config-file", settings],
        ...["run", document, "--url", url, "--no-color"],
        ...["--seed", `${seed}`],
        ...["--report", "junit,ndjson", "--report-ndjson-path", events],
        ...["--report-junit-path", join(folder, `${name}.xml`)],
        ...(operation === undefined ? [] : ["--include-operation-id", operation]),
      ],
      env: {
        LOTLINE_URL: url,
        LOTLINE_ACCOUNTS: JSON.stringify(accounts),
        LOTLINE_REFERENCES: JSON.stringify(references),
        LOTLINE_TAKEN: JSON.stringify(taken),
        LOTLINE_PATTERNS: JSON.stringify(patternsOf(JSON.parse(await Deno.readTextFile(document)))),
        PYTHONPATH: HERE,
        PYTHONDONTWRITEBYTECODE: "1",
      },
      cwd: scratch,
    },
  ).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  await Deno.writeTextFile(join(folder, `${name}.log`), output);
  return { isGreen: success, output, events };
}

/** The parameters of a run without configuration. */
export interface UnconfiguredRun extends Pick<SchemathesisRun, "url" | "seed" | "examples"> {
  /** The path of the published document. */
  readonly document: "/openapi.json" | "/openapi-3.0.json";
  /** Sent as the bearer token; undefined for none. */
  readonly token: string | undefined;
  readonly folder: string;
  readonly name: string;
}

/** Runs `st run URL --checks all`, as a client would who knows the published document alone. */
export async function runUnconfigured(options: UnconfiguredRun): Promise<SchemathesisResult> {
  const { url, document, token, seed, examples, folder, name } = options;
  const events = join(folder, `${name}.ndjson`);
  await using own = new AsyncDisposableStack();
  // A folder without a file of settings.
  const scratch = await Deno.makeTempDir({ prefix: "lotline-fuzz-" });
  own.defer(() => Deno.remove(scratch, { recursive: true }));
  const { success, stdout, stderr } = await new Deno.Command(
    pythonProgram(PACKAGES, "schemathesis"),
    {
      args: [
        ...["run", `${url}${document}`, "--checks", "all", "--no-color"],
        ...["--seed", `${seed}`, "--max-examples", `${examples}`],
        ...["--report", "ndjson", "--report-ndjson-path", events],
        ...(token === undefined ? [] : ["--header", `Authorization: Bearer ${token}`]),
        // OpenAPI 3.0 has no `propertyNames`, so it can't say that a key of metadata has no NUL.
        ...(document === "/openapi-3.0.json" ? ["--generation-allow-x00", "false"] : []),
      ],
      cwd: scratch,
    },
  ).output();
  const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  await Deno.writeTextFile(join(folder, `${name}.log`), output);
  return { isGreen: success, output, events };
}

// The command line has one number for all phases.
async function settingsFor({ examples, sequences }: SchemathesisRun): Promise<string> {
  const file = join(PROJECT_FOLDER, "contract-tests", "schemathesis.toml");
  return `${await Deno.readTextFile(file)}
[phases.fuzzing.generation]
max-examples = ${examples}

[phases.stateful.generation]
max-examples = ${sequences}
`;
}
