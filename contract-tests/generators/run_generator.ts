import { delimiter, join } from "node:path";
import { PROJECT_FOLDER } from "../../dev/state_folder.ts";
import { CommandFailed, install, runCommand } from "./commands.ts";
import type { Command, Generator, Tools } from "./generator.ts";
import { transcriptOf } from "./transcript.ts";

const WORK_FOLDER = join(PROJECT_FOLDER, ".data", "generators", "work");
/** The module that describes a generator, and what its tools were installed from. */
const NOT_OF_THE_PROGRAM = new Set([
  "generator.ts",
  "package-lock.json",
  "requirements.in",
  "requirements.txt",
]);

/** What came of one generator. */
export interface Outcome {
  readonly generator: Generator;
  /** The steps that succeeded, each with its seconds. */
  readonly steps: readonly string[];
  /** The step that failed, and why. */
  readonly problem?: string;
}

/** Generates a client from a running service's document, compiles it, and runs its program. */
export async function runGenerator(generator: Generator, url: string): Promise<Outcome> {
  const steps: string[] = [];
  for (const [name, act] of Object.entries(stepsOf(generator, url))) {
    const beganMs = performance.now();
    try {
      await act();
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      return { generator, steps, problem: `${name}: ${error.message}` };
    }
    steps.push(`${name} ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
  }
  return { generator, steps };
}

function stepsOf(generator: Generator, url: string): Record<string, () => Promise<void>> {
  const folder = join(WORK_FOLDER, generator.name);
  const { compile, run } = generator;
  const path = pathWith(generator.install);
  const inOrder = async (commands: readonly Command[]) => {
    for (const command of commands) await runCommand(command, { folder, env: path });
  };
  return {
    install: async () => {
      for (const tools of generator.install) await install(tools);
    },
    generate: async () => {
      await prepareWork(generator, url, folder);
      await inOrder(generator.generate);
    },
    ...(compile && { compile: () => inOrder(compile) }),
    ...(run && { run: () => runProgram(run, generator, { url, folder, path }) }),
  };
}

/** Makes the work folder anew, with the program and the document. */
async function prepareWork({ name, document }: Generator, url: string, folder: string) {
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await copyFolder(join(PROJECT_FOLDER, "contract-tests", "generators", name), folder);
  const response = await fetch(`${url}/${document}`);
  if (!response.ok) throw new CommandFailed(`GET /${document} is ${response.status}`);
  await Deno.writeTextFile(join(folder, document), await response.text());
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFolder(join(from, name), join(to, name));
    else if (!NOT_OF_THE_PROGRAM.has(name)) await Deno.copyFile(join(from, name), join(to, name));
  }
}

/** The programs of the tools come before those of this machine. */
function pathWith(all: readonly Tools[]): { readonly PATH: string } {
  const folders = all.flatMap(({ folder }) => [`${folder}/bin`, `${folder}/node_modules/.bin`]);
  return { PATH: [...folders, Deno.env.get("PATH")].join(delimiter) };
}

async function runProgram(
  command: Command,
  { name }: Generator,
  { url, folder, path }: {
    readonly url: string;
    readonly folder: string;
    readonly path: { readonly PATH: string };
  },
): Promise<void> {
  // New for each run, since a code is taken from then on.
  const lotCode = `${name.toUpperCase()}-${crypto.randomUUID().slice(0, 8)}`;
  const env = { ...path, BASE_URL: url, LOT_CODE: lotCode };
  const printed = await runCommand(command, { folder, env });
  const expected = transcriptOf(lotCode);
  if (printed === expected) return;
  throw new CommandFailed(`The program printed\n${printed}\nin place of\n${expected}`);
}
