/**
 * Finds a Valkey or Redis server on this machine, or installs one if possible.
 *
 * @module
 */

import { join } from "node:path";

const NAMES = ["valkey-server", "redis-server"];
const USUAL_FOLDERS = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/usr/sbin"];

/** The path of a Valkey or Redis server on this machine that is new enough (6.2), if there is one. */
export async function findValkey(): Promise<string | undefined> {
  if (Deno.build.os === "windows") return undefined;
  const folders = [...(Deno.env.get("PATH") ?? "").split(":").filter(Boolean), ...USUAL_FOLDERS];
  for (const program of NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    if (await isNewEnough(program)) return program;
  }
  return undefined;
}

async function isNewEnough(program: string): Promise<boolean> {
  if (!await isThere(program)) return false;
  const { stdout } = await new Deno.Command(program, { args: ["--version"], stderr: "null" })
    .output();
  const [, major, minor] = /v=(\d+)\.(\d+)/.exec(new TextDecoder().decode(stdout)) ?? [];
  return Number(major) > 6 || (Number(major) === 6 && Number(minor) >= 2);
}

// The packages start a system service, now and at every boot, unless the machine's policy forbids
// it. The shell removes our policy again even if we are killed.
const INSTALL = `
set -u
export DEBIAN_FRONTEND=noninteractive
options="-o DPkg::Lock::Timeout=300 -qq"
available() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'; }
choose() {
  if available valkey-server; then package=valkey-server
  elif available redis-server; then package=redis-server
  else return 1; fi
}
choose || { apt-get $options update && choose; } || { echo "no such package here" >&2; exit 1; }
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  trap 'exit 1' INT TERM HUP
  printf '#!/bin/sh\\nexit 101\\n' > $policy
  chmod 755 $policy
fi
install() { apt-get $options install -y --no-install-recommends $package </dev/null; }
# Package lists that have grown old name files which are gone.
install || { apt-get $options update && install; } || exit 1
if command -v systemctl >/dev/null 2>&1; then systemctl --quiet disable $package || true; fi
`;

/**
 * Installs a server from the distribution's packages: on Debian and Ubuntu, as root. Elsewhere it
 * only reports what to install.
 */
export async function installValkey(
  progress: (line: string) => void,
): Promise<string | undefined> {
  const root = Deno.build.os === "linux" && Deno.uid() === 0;
  if (!root || !await isThere("/usr/bin/apt-get")) {
    progress(`No Valkey or Redis server found, going on without one. ${advice()}`);
    return undefined;
  }
  using claim = await Deno.open("/var/lock/lotline-install.lock", { write: true, create: true });
  await claim.lock(true);
  // Another process may have installed it while we waited.
  const found = await findValkey();
  if (found !== undefined) return found;
  progress("Installing a Valkey or Redis server from the distribution's packages");
  const { stdout, stderr, success } = await new Deno.Command("/bin/sh", {
    args: ["-c", INSTALL],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) {
    const said = new TextDecoder().decode(stderr) || new TextDecoder().decode(stdout);
    const reason = said.trim().split("\n").slice(-3).join(" / ");
    progress(`Installing it failed, going on without one (${reason}). ${advice()}`);
    return undefined;
  }
  return await findValkey();
}

function advice(): string {
  switch (Deno.build.os) {
    case "darwin":
      return "To have one: brew install valkey";
    case "windows":
      return "There is no such server for Windows; inside WSL this works as on Linux";
    default:
      return "To have one, install the package valkey-server (or valkey, redis-server, redis)";
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
