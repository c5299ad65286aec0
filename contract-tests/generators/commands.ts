import { basename, join, resolve } from "node:path";
import type { Command, Tools } from "./generator.ts";

/** A command can't be started, or has failed; the message has the end of its output. */
export class CommandFailed extends Error {
  override name = "CommandFailed";
}

/** The last lines of an output are the ones that say what is wrong. */
const SHOWN_LINES = 40;

/**
 * Runs a command and returns what it printed on standard output.
 *
 * @throws {CommandFailed}
 */
export async function runCommand(
  [program = "", ...args]: Command,
  { folder, env = {} }: {
    readonly folder: string;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<string> {
  const output = await start(program, args, folder, env);
  const [printed, errors] = [output.stdout, output.stderr].map((one) =>
    new TextDecoder().decode(one)
  );
  if (output.success) return printed ?? "";
  const end = `${printed}${errors}`.trimEnd().split("\n").slice(-SHOWN_LINES).join("\n");
  throw new CommandFailed(`${[program, ...args].join(" ")}\n${end}`);
}

async function start(program: string, args: string[], cwd: string, env: Record<string, string>) {
  const path = program.includes("/") ? resolve(cwd, program) : program;
  try {
    return await new Deno.Command(path, { args, cwd, env, stdin: "null" }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CommandFailed(`There is no program ${program} on this machine`);
  }
}

/**
 * Installs tools, unless they are already installed from the same files by the same commands.
 *
 * @throws {CommandFailed}
 */
export async function install({ folder, files, commands }: Tools): Promise<void> {
  const contents = await Promise.all(files.map((file) => Deno.readTextFile(file)));
  const wanted = JSON.stringify([commands, contents]);
  const stamp = join(folder, "installed.json");
  if (await Deno.readTextFile(stamp).catch(() => "") === wanted) return;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  await Deno.mkdir(folder, { recursive: true });
  for (const file of files) await Deno.copyFile(file, join(folder, basename(file)));
  for (const command of commands) await runCommand(command, { folder });
  await Deno.writeTextFile(stamp, wanted);
}
