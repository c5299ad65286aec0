/**
 * The folder of all files of `deno task dev` and the tests' servers, and the user that runs the
 * servers.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** A user of this machine that servers run as. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The folder of the project's own files. */
export const PROJECT_FOLDER = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/**
 * The user that servers run as: `undefined` (the current one), except for root, since PostgreSQL
 * refuses to run as root.
 *
 * @throws Error when we are root and the machine has no suitable unprivileged user
 */
export function serverUser(): ServerUser | undefined {
  if (Deno.build.os === "windows" || Deno.uid() !== 0) return undefined;
  const accounts = Deno.readTextFileSync("/etc/passwd").split("\n").map((line) => line.split(":"));
  for (const wanted of ["postgres", "nobody"]) {
    const [name, , uid, gid] = accounts.find(([found]) => found === wanted) ?? [];
    // nobody is -2 in some passwd files; setuid takes an unsigned number.
    if (name && Number(uid) !== 0) return { name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
  }
  throw new Error(
    "PostgreSQL refuses to run as root, and this machine has neither a user postgres nor nobody: " +
      "run this as another user",
  );
}

/**
 * The folder for databases, logs and unpacked servers: `LOTLINE_DATA`, else `.data` in the project.
 * If the servers' user can't reach the project (a clone under a closed home), it is a folder for
 * this project under `/var/lib/lotline`.
 */
export function stateFolder(): string {
  const chosen = Deno.env.get("LOTLINE_DATA");
  if (chosen) return resolve(chosen);
  const user = serverUser();
  const inProject = join(PROJECT_FOLDER, ".data");
  if (user === undefined || closedAncestor(inProject, user) === undefined) return inProject;
  const name = createHash("sha256").update(PROJECT_FOLDER).digest("hex").slice(0, 12);
  return `/var/lib/lotline/${name}`;
}

/**
 * Makes a folder that the servers' user can reach.
 *
 * @throws Error that names the ancestor which is closed to that user
 */
export function makeReachableFolder(path: string): void {
  Deno.mkdirSync(path, { recursive: true, mode: 0o755 });
  openForServers(path);
}

/**
 * Lets the servers' user pass through a folder and all its ancestors. Only folders inside the
 * system's temporary directory are changed: those are made closed (0700) by their only user.
 *
 * @throws Error that names the ancestor which is closed to that user
 */
export function openForServers(path: string): void {
  const user = serverUser();
  if (user === undefined) return;
  const temporary = resolve(tmpdir()) + "/";
  for (const folder of [...ancestors(path), resolve(path)]) {
    if (!folder.startsWith(temporary) || mayPass(folder, user)) continue;
    Deno.chmodSync(folder, ((Deno.statSync(folder).mode ?? 0) & 0o7777) | 0o011);
  }
  const closed = closedAncestor(path, user);
  if (closed !== undefined) {
    throw new Error(
      `The user ${user.name}, who has to run the database since root may not, cannot enter ` +
        `${closed}: choose a folder elsewhere (LOTLINE_DATA)`,
    );
  }
}

/** The first existing folder above `path` (or `path` itself) that `user` may not pass through. */
function closedAncestor(path: string, user: ServerUser): string | undefined {
  return [...ancestors(path), resolve(path)].find((folder) => !mayPass(folder, user));
}

function mayPass(folder: string, user: ServerUser): boolean {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(folder);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
  const mode = info.mode ?? 0;
  if (info.uid === user.uid) return (mode & 0o100) !== 0;
  if (info.gid === user.gid) return (mode & 0o010) !== 0;
  return (mode & 0o001) !== 0;
}

function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let folder = dirname(resolve(path)); folder !== dirname(folder); folder = dirname(folder)) {
    found.unshift(folder);
  }
  return found;
}
