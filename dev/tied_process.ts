/**
 * A server process that is stopped when our process ends, even by kill -9.
 *
 * @module
 */

import process from "node:process";
import { delay } from "../timing.ts";
import type { ServerUser } from "./state_folder.ts";

/** A running server. */
export interface TiedProcess {
  readonly pid: number;
  /** Settles when the server has ended; never rejects. */
  readonly exited: Promise<void>;
}

export interface TiedProcessOptions {
  readonly command: string;
  readonly args: string[];
  readonly cwd?: string;
  /** The file for the server's output. It must be writable for `user`. */
  readonly logFile: string;
  readonly env?: Record<string, string>;
  readonly user?: ServerUser | undefined;
  /** The signals that stop it when we end, in turn and repeatedly; TERM unless set. */
  readonly stopSignals?: readonly ("TERM" | "INT")[];
}

/** Seconds; more than any server needs to finish. Then it is killed. */
const STOP_TRIES = 30;

// The shell holds the reading end of a pipe whose writing end only we hold. When we end, in any
// way, the read ends, and the server gets signals until it has ended. A server that has just
// started may miss the first one, and ignores SIGINT, as everything in a shell's background. CONT,
// since it may be paused. The watch starts before the pid is printed, which ends the shell when we
// are gone.
const WATCHED = `
exec 3<&0
"$@" </dev/null >>"$LOTLINE_LOG_FILE" 2>&1 3<&- &
server=$!
(
  read -r _ <&3
  tries=0
  while kill -CONT $server; do
    for signal in $LOTLINE_STOP_SIGNALS; do kill -$signal $server; done
    tries=$((tries + 1))
    [ $tries -lt ${STOP_TRIES} ] || kill -KILL $server
    sleep 1
  done
) >/dev/null 2>&1 &
watch=$!
exec 3<&-
echo $server
exec >/dev/null 2>&1
wait $server
code=$?
kill $watch
exit $code`;

/** Starts a server. It runs in its own session, so that a Ctrl-C reaches only us. */
export async function startTied(options: TiedProcessOptions): Promise<TiedProcess> {
  return Deno.build.os === "windows" ? startOnWindows(options) : await startWatched(options);
}

async function startWatched(options: TiedProcessOptions): Promise<TiedProcess> {
  const shell = new Deno.Command("/bin/sh", {
    args: ["-c", WATCHED, "sh", options.command, ...options.args],
    cwd: options.cwd ?? "/",
    env: {
      ...options.env,
      LOTLINE_LOG_FILE: options.logFile,
      LOTLINE_STOP_SIGNALS: (options.stopSignals ?? ["TERM"]).join(" "),
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    detached: true,
    ...(options.user && { uid: options.user.uid, gid: options.user.gid }),
  }).spawn();
  let said = "";
  for await (const text of shell.stdout.pipeThrough(new TextDecoderStream())) said += text;
  const exited = shell.status.then(async () => {
    await shell.stdin.close().catch(() => {});
  });
  shell.unref();
  return { pid: Number(said), exited };
}

// Windows has no such shell: there only we stop the server.
function startOnWindows(options: TiedProcessOptions): TiedProcess {
  const child = new Deno.Command(options.command, {
    args: options.args,
    env: options.env ?? {},
    ...(options.cwd && { cwd: options.cwd }),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  for (const output of [child.stdout, child.stderr]) {
    const log = Deno.openSync(options.logFile, { append: true, create: true });
    output.pipeTo(log.writable).catch(() => {});
  }
  child.unref();
  return { pid: child.pid, exited: child.status.then(() => {}) };
}

/** Waits until a server has ended. */
export async function ended(server: TiedProcess): Promise<void> {
  let gone = false;
  server.exited.then(() => gone = true);
  // With a timer: a server alone doesn't keep our process alive, nor does waiting for it.
  while (!gone) await delay(5);
}

/** Sends SIGTERM to a process, and kills it when it takes longer than `graceMs`. */
export async function stopProcess(pid: number, graceMs: number): Promise<void> {
  // A paused process would only end after it is continued.
  signal(pid, "SIGCONT");
  signal(pid, "SIGTERM");
  for (const start = Date.now(); isRunning(pid) && Date.now() - start < graceMs;) await delay(5);
  if (isRunning(pid)) await killProcess(pid);
}

/** Kills a process (SIGKILL), and waits until it has ended. */
export async function killProcess(pid: number): Promise<void> {
  signal(pid, "SIGKILL");
  while (isRunning(pid)) await delay(5);
}

function signal(pid: number, name: Deno.Signal): void {
  // On Windows, SIGTERM kills the process.
  if (Deno.build.os === "windows" && name === "SIGCONT") return;
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (isRunning(pid)) throw error;
  }
}

/** Whether a process is running, not only an entry that waits to be reaped. */
export function isRunning(pid: number): boolean {
  if (Deno.build.os === "linux") {
    try {
      // Parses "pid (name) state …". The name may have any characters, so fields start after the
      // last bracket.
      const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
      return !"ZX".includes(stat.slice(stat.lastIndexOf(")") + 2).charAt(0));
    } catch {
      return false;
    }
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The command line of a process; undefined when it can't be read. */
export async function commandLine(pid: number): Promise<string> {
  switch (Deno.build.os) {
    case "windows":
      return "";
    case "linux":
      // Not ps: small images don't have it.
      return (await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => ""))
        .replaceAll("\0", " ");
    default: {
      const args = ["-o", "command=", "-p", String(pid)];
      const { stdout } = await new Deno.Command("ps", { args, stderr: "null" }).output();
      return new TextDecoder().decode(stdout);
    }
  }
}
