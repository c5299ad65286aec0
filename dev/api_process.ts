/**
 * The API as a process of its own, started as `deno task start` starts it.
 *
 * @module
 */

import project from "../deno.json" with { type: "json" };
import { logTail, prepareLog } from "./server_log.ts";
import { PROJECT_FOLDER } from "./state_folder.ts";
import { commandLine, ended, isRunning, startTied, stopProcess } from "./tied_process.ts";

// The API itself gives running requests 15 s.
const STOP_MS = 20_000;

/** A running API. Disposing stops it. */
export interface ApiProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it wrote last. */
  logTail(): string;
}

export interface ApiOptions {
  readonly port: number;
  readonly env: Record<string, string>;
  readonly logFile: string;
  /** Remembers the process, so that the next run can find it when this one is killed. */
  readonly pidFile: string;
}

/**
 * Starts the API; resolves when it says that it is ready.
 *
 * @throws Error with the end of its log when it ends instead
 */
export async function startApi({ port, env, logFile, pidFile }: ApiOptions): Promise<ApiProcess> {
  const log = prepareLog(logFile, undefined);
  const [, ...args] = project.tasks.start.command.split(" ");
  const server = await startTied({
    command: Deno.execPath(),
    args,
    cwd: PROJECT_FOLDER,
    env: { ...env, HOST: "127.0.0.1", PORT: String(port), NO_COLOR: "1" },
    logFile,
  });
  await Deno.writeTextFile(pidFile, String(server.pid));
  while (!await isReady(port)) {
    if (!isRunning(server.pid)) {
      throw new Error(`The API could not start. The end of ${logFile}:\n${logTail(log.since())}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    pid: server.pid,
    logTail: () => logTail(log.since()),
    async [Symbol.asyncDispose]() {
      await stopProcess(server.pid, STOP_MS);
      await ended(server);
      await Deno.remove(pidFile);
    },
  };
}

/** Stops an API that outlived the run which had started it. */
export async function stopLeftOverApi(pidFile: string): Promise<void> {
  const pid = Number(await Deno.readTextFile(pidFile).catch(() => ""));
  if (!(pid > 1) || !isRunning(pid)) return;
  // The number may belong to another program by now.
  if ((await commandLine(pid)).includes(project.tasks.start.command.split(" ").at(-1) ?? "")) {
    await stopProcess(pid, STOP_MS);
  }
}

async function isReady(port: number): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(2_000);
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
