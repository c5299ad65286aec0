import { Buffer } from "node:buffer";
import { dirname, join } from "node:path";
import { makeReachableFolder, stateFolder } from "./state_folder.ts";

/*
 * Programs of Debian's releases, unpacked beside each other and started with their own libraries. Nothing
 * is installed, and the machine's own lists of packages stay as they are.
 */

export type Release = "bookworm" | "trixie";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

const PGBOUNCER: Readonly<Record<Release, readonly string[]>> = {
  bookworm: [
    "pgbouncer",
    "libc6",
    "libssl3",
    "libevent-2.1-7",
    "libc-ares2",
    "libpam0g",
    "libsystemd0",
    "libaudit1",
    "libcap-ng0",
    "libcap2",
    "libcrypt1",
    "libgcrypt20",
    "libgpg-error0",
    "liblz4-1",
    "liblzma5",
    "libzstd1",
  ],
  trixie: [
    "pgbouncer",
    "libc6",
    "libssl3t64",
    "libevent-2.1-7t64",
    "libcares2",
    "libpam0g",
    "libsystemd0",
    "libaudit1",
    "libcap-ng0",
    "libcap2",
    "libcrypt1",
    "libzstd1",
    "zlib1g",
  ],
};

/** A program of a release, with the packages that have it and all libraries that it links. */
interface Packed {
  readonly name: string;
  readonly release: Release;
  readonly packages: readonly string[];
  /** In the packages' tree. */
  readonly path: string;
  /** A folder whose files the program reads, as its code names it, such as `/usr/share/nginx`. */
  readonly reads?: string;
}

/** A program and the arguments before its own. */
export interface DebianProgram {
  readonly command: string;
  readonly args: readonly string[];
  /** The folder that it must be started in, if it reads files by their place in its packages. */
  readonly cwd?: string;
}

/** PgBouncer of a release: 1.18 in bookworm, 1.24 in trixie. @throws as {@link debianProgram} */
export const debianPgBouncer = (release: Release): Promise<DebianProgram> =>
  debianProgram({
    name: "pgbouncer",
    release,
    packages: PGBOUNCER[release],
    path: "usr/sbin/pgbouncer",
  });

/**
 * A program of Debian's. Fetched once; safe to call from several processes at the same time.
 *
 * @throws Error when the machine has no apt, or the packages can't be fetched
 */
export async function debianProgram(
  { name, release, packages, path, reads }: Packed,
): Promise<DebianProgram> {
  const folder = join(stateFolder(), "programs", `${name}-${release}`);
  makeReachableFolder(dirname(folder));
  using claim = await Deno.open(`${folder}.lock`, { write: true, create: true });
  await claim.lock(true);
  if (!await exists(folder)) await fetchInto(folder, release, packages);
  const program = join(folder, path);
  if (reads !== undefined) await relocate(program, reads);
  const triple = Deno.build.arch === "aarch64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  const loader = Deno.build.arch === "aarch64" ? "ld-linux-aarch64.so.1" : "ld-linux-x86-64.so.2";
  const libraries = [`lib/${triple}`, `usr/lib/${triple}`, `lib/${triple}/systemd`]
    .concat(`usr/lib/${triple}/systemd`).map((path) => join(folder, path));
  const [old = "", merged = ""] = libraries.map((path) => join(path, loader));
  return {
    command: await exists(old) ? old : merged,
    args: ["--library-path", libraries.join(":"), program],
    ...reads !== undefined && { cwd: folder },
  };
}

/**
 * Makes a program read a folder below its working directory, and not the machine's. The names are of
 * the same length, so that all else in the file stays in its place.
 */
async function relocate(program: string, folder: string): Promise<void> {
  const at = folder.lastIndexOf("/");
  const below = `${folder.slice(1, at)}//${folder.slice(at + 1)}`;
  // Each byte is a character, and back.
  const code = Buffer.from(await Deno.readFile(program)).toString("latin1");
  if (!code.includes(folder)) return;
  await Deno.writeFile(`${program}.new`, Buffer.from(code.replaceAll(folder, below), "latin1"), {
    mode: 0o755,
  });
  await Deno.rename(`${program}.new`, program);
}

async function fetchInto(
  folder: string,
  release: Release,
  names: readonly string[],
): Promise<void> {
  const work = `${folder}.half`;
  await Deno.remove(work, { recursive: true }).catch(() => {});
  const [lists, cache, packages, tree] = ["lists", "cache", "packages", "tree"]
    .map((name) => join(work, name)) as [string, string, string, string];
  for (const path of [`${lists}/partial`, `${cache}/archives/partial`, packages, tree]) {
    await Deno.mkdir(path, { recursive: true });
  }
  const sources = join(work, "sources.list");
  const mirror = await debianMirror(work);
  await Deno.writeTextFile(sources, `deb [signed-by=${KEYRING}] ${mirror} ${release} main\n`);
  const options = [
    `Dir::Etc::sourcelist=${sources}`,
    "Dir::Etc::sourceparts=/dev/null",
    `Dir::State::lists=${lists}`,
    "Dir::State::status=/dev/null",
    `Dir::Cache=${cache}`,
    "Acquire::Languages=none",
    "Acquire::Retries=3",
    "APT::Sandbox::User=root",
  ].flatMap((option) => ["-o", option]);
  await run("apt-get", [...options, "-q", "update"], work);
  await run("apt-get", [...options, "-q", "download", ...names], packages);
  for await (const { name } of Deno.readDir(packages)) {
    await run("dpkg-deb", ["-x", join(packages, name), tree], work);
  }
  await Deno.rename(tree, folder);
  await Deno.remove(work, { recursive: true });
}

/** The address from which this machine gets Debian's packages; it has those of all releases. */
async function debianMirror(cwd: string): Promise<string> {
  const files = await run("apt-get", ["update", "--print-uris"], cwd);
  const [, mirror] = /^'(\S+\/debian)\/dists\/[\w-]+\/InRelease'/m.exec(files) ?? [];
  if (mirror === undefined) throw new Error("apt has no source of Debian's own packages");
  return mirror;
}

/** Its standard output. */
async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const result = await new Deno.Command(command, {
    args: [...args],
    cwd,
    env: { LC_ALL: "C" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  if (result.success) return text.decode(result.stdout);
  const reason = text.decode(result.stderr).trim();
  throw new Error(`${command} ${args.at(-1)} failed: ${reason}`);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
