import { join } from "node:path";
import { PROJECT_FOLDER } from "../dev/state_folder.ts";

/** Packages of Python's that the tests and tools use, with their versions and hashes. */
export interface PythonPackages {
  /** What they are for, such as "schemathesis". */
  readonly name: string;
  /** The command that needs them, or "the tests of …". */
  readonly user: string;
  /** The path of a file that pip reads: each package with its version and hashes. */
  readonly requirements: string;
  /** The folder that they are installed into, with a Python of its own. */
  readonly folder: string;
}

/** Packages can't be installed; the message has instructions. */
export class NoPythonPackages extends Error {
  override name = "NoPythonPackages";
}

/** The path of a program that packages bring. */
export const pythonProgram = ({ folder }: PythonPackages, name: string): string =>
  join(folder, Deno.build.os === "windows" ? "Scripts" : "bin", name);

/**
 * Installs the packages, unless those of the file are already installed. Another process that
 * installs them at this moment is waited for.
 *
 * @param progress gets a line when there is something to install
 * @throws {NoPythonPackages} without a suitable Python, or when a package can't be fetched
 */
export async function ensurePythonPackages(
  packages: PythonPackages,
  progress: (line: string) => void,
): Promise<void> {
  const { name, requirements, folder } = packages;
  const programs = join(PROJECT_FOLDER, ".data", "programs");
  await Deno.mkdir(programs, { recursive: true });
  const lock = join(programs, `${name}.lock`);
  using claim = await Deno.open(lock, { write: true, create: true });
  await claim.lock(true);
  const wanted = await Deno.readTextFile(requirements);
  const stamp = join(folder, "lotline-requirements.txt");
  if (await Deno.readTextFile(stamp).catch(() => "") === wanted) return;
  const python = await findPython(packages);
  progress(`Installing ${name} …`);
  await must(packages, python, ["-m", "venv", "--clear", folder]);
  // Wheels only: a build here would run code that no hash covers.
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const what = ["--require-hashes", "--only-binary", ":all:", "-r", requirements];
  await must(packages, pythonProgram(packages, "python"), [...pip, ...what]);
  await Deno.writeTextFile(stamp, wanted);
}

async function findPython({ user }: PythonPackages): Promise<string> {
  const able = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
  for (
    const name of ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"]
  ) {
    if ((await run(name, ["-c", able]))?.success) return name;
  }
  throw new NoPythonPackages(
    `${user} needs Python 3.11 or newer with venv and pip (Debian: apt install python3-venv)`,
  );
}

async function run(command: string, args: string[]): Promise<Deno.CommandOutput | undefined> {
  try {
    return await new Deno.Command(command, { args }).output();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function must({ name }: PythonPackages, command: string, args: string[]): Promise<void> {
  const output = await run(command, args);
  if (output?.success) return;
  const said = new TextDecoder().decode(output?.stderr).trim();
  throw new NoPythonPackages(`${name} could not be installed:\n${said}`);
}
