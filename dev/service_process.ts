/**
 * A process of Lotline, started as its task in deno.json starts it.
 *
 * @module
 */

import { delay } from "../timing.ts";
import { logTail, prepareLog } from "./server_log.ts";
import { PROJECT_FOLDER } from "./state_folder.ts";
import { fileSettingOf } from "../secret_files.ts";
import { taskWords } from "./task_command.ts";
import { commandLine, ended, isRunning, startTied, stopProcess } from "./tied_process.ts";

// The API's grace period for running requests is 15 s, the worker's for running jobs 10 s and some
// more.
const STOP_MS = 20_000;

/** A running service. Disposing stops it. */
export interface ServiceProcess extends AsyncDisposable {
  /** Its name in messages, such as `API`. */
  readonly name: string;
  readonly pid: number;
  /** Its last output. */
  logTail(): string;
}

export interface ServiceOptions {
  readonly name: string;
  /** In deno.json. */
  readonly task: string;
  readonly env: Record<string, string>;
  readonly logFile: string;
  /** Records the process, so that the next run can find it when this one is killed. */
  readonly pidFile: string;
  /** Whether it is ready, by its output so far or by a request. */
  readonly isReady: (log: string) => boolean | Promise<boolean>;
}

/**
 * Starts a service; resolves when it is ready.
 *
 * @throws Error with the end of its log when it ends instead
 */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  const { name, task, env, logFile, pidFile, isReady } = options;
  const log = prepareLog(logFile, undefined);
  const [, ...args] = taskWords(task);
  const server = await startTied({
    command: Deno.execPath(),
    args,
    cwd: PROJECT_FOLDER,
    env: { ...withoutFiles(env), ...env, NO_COLOR: "1" },
    logFile,
  });
  await Deno.writeTextFile(pidFile, String(server.pid));
  while (!await isReady(log.since())) {
    if (!isRunning(server.pid)) {
      throw new Error(
        `The ${name} could not start. The end of ${logFile}:\n${logTail(log.since())}`,
      );
    }
    await delay(50);
  }
  return {
    name,
    pid: server.pid,
    logTail: () => logTail(log.since()),
    async [Symbol.asyncDispose]() {
      await stopProcess(server.pid, STOP_MS);
      await ended(server);
      await Deno.remove(pidFile);
    },
  };
}

/** A shell's setting such as DATABASE_URL_FILE would compete with the service's own one. */
function withoutFiles(env: ServiceOptions["env"]): Record<string, string> {
  return Object.fromEntries(Object.keys(env).map((name) => [fileSettingOf(name), ""]));
}

/** Stops a service that outlived the run which had started it. */
export async function stopLeftOver(task: ServiceOptions["task"], pidFile: string): Promise<void> {
  const pid = Number(await Deno.readTextFile(pidFile).catch(() => ""));
  if (!(pid > 1) || !isRunning(pid)) return;
  // The number may belong to another program by now.
  if ((await commandLine(pid)).includes(taskWords(task).at(-1) ?? "")) {
    await stopProcess(pid, STOP_MS);
  }
}
