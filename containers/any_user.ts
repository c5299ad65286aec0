/**
 * Processes as platforms such as OpenShift start those of a container: the first process has the id 1
 * and no init before it, its user is a number without an entry in /etc/passwd, its group is 0, it has
 * no privileges, and its root is read-only.
 *
 * @module
 */
import { join } from "node:path";

/** A user that no machine has a name for. */
export const ANY_USER = 1_234_567;

const NAMESPACES = ["--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"];

/** Whether this machine can start processes so: it takes Linux, root, and the right to namespaces. */
export const hasAnyUser = Deno.build.os === "linux" && Deno.uid() === 0 && canUnshare();

function canUnshare(): boolean {
  try {
    return new Deno.Command("unshare", { args: [...NAMESPACES, "true"] }).outputSync().success;
  } catch {
    // The program isn't there.
    return false;
  }
}

/** How a process runs as another user in namespaces of its own. */
export interface Confinement {
  /** The begin of its command line. */
  readonly command: readonly string[];
  /** A copy of the running Deno that its user can execute. */
  readonly deno: string;
}

/**
 * Lets any user read a folder; undefined where this machine can't start processes so.
 *
 * @param writable the one folder that isn't read-only, such as a volume
 */
export async function confineToAnyUser(
  folder: string,
  writable: string,
): Promise<Confinement | undefined> {
  if (!hasAnyUser) return undefined;
  const deno = join(folder, "deno");
  await Deno.copyFile(Deno.execPath(), deno);
  await Deno.chmod(deno, 0o755);
  const { success } = await new Deno.Command("chmod", { args: ["-R", "go+rX", folder] }).output();
  if (!success) throw new Error(`${folder} can't be opened to any user`);
  return {
    deno,
    command: [
      ...["unshare", ...NAMESPACES],
      ...[
        "sh",
        "-c",
        'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"',
        writable,
      ],
      ...["setpriv", `--reuid=${ANY_USER}`, "--regid=0", "--clear-groups"],
      ...["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"],
    ],
  };
}

/**
 * The id of the process that has the id 1 in its own namespace, which `unshare` has started.
 *
 * @throws Error when it has ended
 */
export async function firstProcessOf(unshare: number): Promise<number> {
  const children = await Deno.readTextFile(`/proc/${unshare}/task/${unshare}/children`);
  const [first = ""] = children.trim().split(" ");
  if (first === "") throw new Error(`process ${unshare} has no child`);
  return Number(first);
}

/** How a process runs, as the system tells. */
export async function confinementOf(pid: number) {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const mounts = await Deno.readTextFile(`/proc/${pid}/mounts`);
  const fieldOf = (name: string) => new RegExp(`^${name}:(.*)$`, "m").exec(status)?.[1] ?? "";
  return {
    users: [...new Set(fieldOf("Uid").trim().split(/\s+/).map(Number))],
    groups: [...new Set(`${fieldOf("Gid")} ${fieldOf("Groups")}`.trim().split(/\s+/).map(Number))],
    /** In its own namespace. */
    pid: Number(fieldOf("NSpid").trim().split(/\s+/).at(-1)),
    capabilities: Number(fieldOf("CapBnd")),
    root: /^\S+ \/ \S+ (r[ow])/m.exec(mounts)?.[1],
  };
}

/** The {@link confinementOf} of the first process of a container that any user runs. */
export const FIRST_OF_ANY_USER = {
  users: [ANY_USER],
  groups: [0],
  pid: 1,
  capabilities: 0,
  root: "ro",
};
