/**
 * External programs that benchmarks run, installed if possible.
 *
 * @module
 */

import { join } from "node:path";

/** A program and the distribution's packages that contain it. */
export interface Program {
  /** Its file name. */
  readonly name: string;
  /** Its name in messages, such as `The load generator wrk`. */
  readonly title: string;
  readonly packages: readonly string[];
  /** Only the instructions are printed: the packages start their own service. */
  readonly asked?: true;
}

/**
 * The path of a program: on this machine, else installed from the distribution's packages (Debian
 * and Ubuntu, as root).
 *
 * @returns undefined when it is missing and can't be installed; `say` then gets the instructions
 */
export async function findProgram(
  { name, title, packages, asked: requested }: Program,
  say: (line: string) => void,
): Promise<string | undefined> {
  const there = await lookFor(name);
  if (there !== undefined) return there;
  const advice = `To have it, install the package ${packages.join(" ")}`;
  if (
    requested || Deno.build.os !== "linux" || Deno.uid() !== 0 || !await isThere("/usr/bin/apt-get")
  ) {
    say(`${title} is not on this machine. ${advice}`);
    return undefined;
  }
  say(`Installing ${name} from the distribution's packages`);
  const install = "apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends " +
    packages.join(" ");
  const { stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", `${install} || { apt-get -qq update && ${install}; }`],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  const installed = await lookFor(name);
  if (installed === undefined) {
    const reason = new TextDecoder().decode(stderr).trim().split("\n").slice(-2).join(" / ");
    say(`Installing ${name} failed (${reason}). ${advice}`);
  }
  return installed;
}

async function lookFor(name: string): Promise<string | undefined> {
  const folders = [
    ...(Deno.env.get("PATH") ?? "").split(":").filter(Boolean),
    "/usr/bin",
    "/usr/sbin",
  ];
  for (const path of folders.map((folder) => join(folder, name))) {
    if (await isThere(path)) return path;
  }
  return undefined;
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(({ isFile }) => isFile, () => false);
}
