/**
 * The folder of one PostgreSQL database cluster: made completely or not made, and freed from what a
 * killed run left behind.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { delay } from "../timing.ts";
import type { PostgresBinaries, PostgresMajor } from "./postgres_binaries.ts";
import type { ServerUser } from "./state_folder.ts";
import { commandLine, isRunning } from "./tied_process.ts";

export interface DataFolderOptions {
  readonly dataDir: string;
  readonly major: PostgresMajor;
  readonly binaries: PostgresBinaries;
  readonly user: ServerUser | undefined;
  readonly progress: (line: string) => void;
}

/**
 * Prepares the folder for a server of this version. A missing one is made, a complete one stays
 * unchanged, and an incomplete one is made again.
 *
 * @throws Error when it belongs to another major version, or when initdb fails
 */
export async function prepareDataFolder(options: DataFolderOptions): Promise<void> {
  const { dataDir, major, progress } = options;
  await stopLeftOver(options);
  const version = (await readIfThere(`${dataDir}/PG_VERSION`))?.trim();
  if (version && await readIfThere(`${dataDir}/global/pg_control`)) {
    if (version === String(major)) return;
    throw new Error(
      `The data folder ${dataDir} belongs to PostgreSQL ${version}, but PostgreSQL ${major} ` +
        `was to be started on it: name another folder, or move this one away`,
    );
  }
  if (await holdsSomething(dataDir)) {
    const aside = `${dataDir}.broken`;
    progress(`The data folder was left half made: putting it aside as ${basename(aside)}`);
    await removeTree(aside);
    await Deno.rename(dataDir, aside);
  }
  await makeDataFolder(options);
}

async function makeDataFolder(
  { dataDir, major, binaries, user, progress }: DataFolderOptions,
): Promise<void> {
  progress(`PostgreSQL ${major}: making a new data folder`);
  // initdb works next to the final name, so that a folder with the final name is complete.
  const half = `${dataDir}.half`;
  await removeTree(half);
  await Deno.mkdir(half, { mode: 0o700 });
  if (user) await Deno.chown(half, user.uid, user.gid);
  const { success, stdout, stderr } = await new Deno.Command(binaries.initdb, {
    args: ["-D", half, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
      .concat("--no-sync", "--no-instructions"),
    env: { LC_ALL: "C", TZ: "UTC" },
    cwd: dirname(binaries.initdb),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(user && { uid: user.uid, gid: user.gid }),
  }).output();
  if (!success) {
    const said = new TextDecoder().decode(stderr) + new TextDecoder().decode(stdout);
    throw new Error(`PostgreSQL's initdb failed: ${said.trim()}`);
  }
  await removeTree(dataDir);
  await Deno.rename(half, dataDir);
}

/** Stops a server that outlived the process which had started it. We hold the claim by now. */
async function stopLeftOver({ dataDir, binaries, user, progress }: DataFolderOptions) {
  const pidFile = `${dataDir}/postmaster.pid`;
  const pid = Number((await readIfThere(pidFile))?.split("\n")[0]);
  // PostgreSQL itself removes what a dead server left.
  if (!(pid > 1) || !isRunning(pid)) return;
  if (!(await commandLine(pid)).includes("postgres")) {
    // The number belongs to another program by now, which would keep PostgreSQL from starting.
    await Deno.remove(pidFile);
    return;
  }
  progress(`Stopping a PostgreSQL that an earlier run left behind (process ${pid})`);
  await stopPostmaster(binaries, dataDir, user);
  if (isRunning(pid)) await killCluster(pid);
}

/**
 * Stops the folder's server: a clean shutdown first, a fast one after it. Returns after at most ~20
 * s.
 */
export async function stopPostmaster(
  binaries: PostgresBinaries,
  dataDir: string,
  user: ServerUser | undefined,
): Promise<void> {
  for (const mode of ["fast", "immediate"]) {
    const { success } = await new Deno.Command(binaries.pgCtl, {
      args: ["stop", "-D", dataDir, "-m", mode, "-w", "-t", "10", "-s"],
      cwd: dirname(binaries.pgCtl),
      stdin: "null",
      stdout: "null",
      stderr: "null",
      ...(user && { uid: user.uid, gid: user.gid }),
    }).output();
    if (success) return;
  }
}

/** Kills a server and all its processes, as a crash would, and waits until they are gone. */
export async function killCluster(postmaster: number): Promise<void> {
  const pids = [postmaster, ...await childrenOf(postmaster)];
  for (const pid of pids) {
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      if (isRunning(pid)) throw error;
    }
  }
  // A new server refuses to start while a process of the old one holds its shared memory.
  while (pids.some(isRunning)) await delay(10);
}

/** The processes that this one has started and that still run. */
export async function childrenOf(parent: number): Promise<number[]> {
  if (Deno.build.os !== "linux") {
    const { stdout } = await new Deno.Command("pgrep", { args: ["-P", String(parent)] }).output();
    return new TextDecoder().decode(stdout).split("\n").filter(Boolean).map(Number);
  }
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readIfThere(`/proc/${name}/stat`).catch(() => undefined);
    // "pid (name) state parent …"
    const [, of] = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
    if (Number(of) === parent) found.push(Number(name));
  }
  return found;
}

async function holdsSomething(folder: string): Promise<boolean> {
  try {
    for await (const _ of Deno.readDir(folder)) return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return false;
}

async function removeTree(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
