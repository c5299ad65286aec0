/**
 * Processes as platforms such as OpenShift start those of a container: the first process has the id 1
 * and no init before it, its user is a number without an entry in /etc/passwd, its group is 0, and it
 * has no privileges. It can write nothing of the image, which belongs to root.
 *
 * @module
 */
import { join } from "node:path";

/** A user that no machine has a name for. */
export const ANY_USER = 1_234_567;

/** Whether this machine can start processes so: it takes Linux and root. */
export const hasAnyUser = Deno.build.os === "linux" && Deno.uid() === 0;

/** How a process runs as another user in namespaces of its own. */
export interface Confinement {
  /** The begin of its command line. */
  readonly command: readonly string[];
  /** A copy of the running Deno that its user can execute. */
  readonly deno: string;
}

/** Lets any user read a folder; undefined where this machine can't start processes so. */
export async function confineToAnyUser(folder: string): Promise<Confinement | undefined> {
  if (!hasAnyUser) return undefined;
  const deno = join(folder, "deno");
  await Deno.copyFile(Deno.execPath(), deno);
  await Deno.chmod(deno, 0o755);
  const { success } = await new Deno.Command("chmod", { args: ["-R", "go+rX", folder] }).output();
  if (!success) throw new Error(`${folder} can't be opened to any user`);
  return {
    deno,
    command: [
      ...["unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"],
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

/** Whether a process is the first of its namespace and belongs to {@link ANY_USER} without groups. */
export async function isAnyUsersFirst(pid: number): Promise<boolean> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const fieldOf = (name: string) =>
    new RegExp(`^${name}:(.*)$`, "m").exec(status)?.[1]?.trim().split(/\s+/) ?? [];
  return fieldOf("NSpid").at(-1) === "1" && fieldOf("Groups").join() === "" &&
    fieldOf("Uid").every((id) => id === String(ANY_USER)) &&
    fieldOf("CapBnd").join() === "0000000000000000";
}
