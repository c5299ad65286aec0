/**
 * Runs a container's commands as plain processes of this machine.
 *
 * @module
 */
import process from "node:process";
import { delay } from "../timing.ts";
import { type Confinement, firstProcessOf } from "./any_user.ts";

/** The surroundings of a container: its working directory and its whole environment. */
export interface Surroundings {
  cwd: string;
  env: Record<string, string>;
  /** The user and what else it runs in; by default as we do. */
  confinement?: Confinement;
}

/** How a process ended: its exit code, and all that it printed. */
export interface Outcome {
  code: number;
  output: string;
}

/** A process that runs until it is stopped. Disposing ends it and all its children. */
export interface ServiceProcess extends AsyncDisposable {
  /** Settles when the process has ended by itself or by `stop`. */
  readonly ended: Promise<Outcome>;
  /** The id of the container's first process, as this machine counts. */
  first(): Promise<number>;
  /** SIGTERM to the first process alone, as `docker stop` does; then SIGKILL to all after `graceMs`. */
  stop(graceMs: number): Promise<Outcome>;
}

/** Starts a command. `deno` means the running Deno; nothing of our environment is inherited. */
export function startProcess(
  command: string[],
  { cwd, env, confinement }: Surroundings,
): ServiceProcess {
  const deno = confinement?.deno ?? Deno.execPath();
  const [program = "", ...args] = [
    ...confinement?.command ?? [],
    ...command.map((word, at) => at === 0 && word === "deno" ? deno : word),
  ];
  const child = new Deno.Command(program, {
    args,
    cwd,
    env,
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // A separate process group, so that its children can be killed with it.
    detached: true,
  }).spawn();
  const ended = child.output().then(({ code, stdout, stderr }): Outcome => {
    const text = new TextDecoder();
    return { code, output: text.decode(stdout) + text.decode(stderr) };
  });

  let over = false;
  ended.finally(() => over = true);
  const first = async () => confinement === undefined ? child.pid : await firstProcessOf(child.pid);
  const stop = async (graceMs: number) => {
    // It may have ended just now.
    if (!over) await first().then((pid) => process.kill(pid, "SIGTERM")).catch(() => {});
    const killer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), graceMs);
    return await ended.finally(() => clearTimeout(killer));
  };
  return {
    ended,
    first,
    stop,
    async [Symbol.asyncDispose]() {
      await stop(5_000);
    },
  };
}

/** Runs a command to its end. */
export async function runToEnd(command: string[], surroundings: Surroundings): Promise<Outcome> {
  await using running = startProcess(command, surroundings);
  return await running.ended;
}

/**
 * Repeats a health check until it succeeds.
 * @throws Error with the service's output when it ends first, or after `timeoutMs`
 */
export async function untilHealthy(
  service: ServiceProcess,
  check: () => Promise<Outcome>,
  patienceMs = 30_000,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  let end: Outcome | undefined;
  service.ended.then((outcome) => end = outcome);
  for (;;) {
    const { code, output } = await check();
    if (code === 0) return;
    if (end) throw new Error(`The service ended with code ${end.code}:\n${end.output}`);
    if (Date.now() > deadline) throw new Error(`Not healthy in time; the check says:\n${output}`);
    await delay(100);
  }
}
