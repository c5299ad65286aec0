import { freePort } from "../../dev/free_port.ts";
import { startTask, type TaskProcess } from "../../testing/task_process.ts";

/** The old server's stand-in in its own process, so that it can be killed. */
export interface LegacyProcess extends TaskProcess {
  readonly url: string;
}

/** Starts the stand-in as `deno task legacy` does, on a free port unless one is given. */
export async function startLegacyProcess(
  { databaseUrl, port = freePort() }: { databaseUrl: string; port?: number },
): Promise<LegacyProcess> {
  const started = await startTask({
    task: "legacy",
    env: { DATABASE_URL: databaseUrl, LEGACY_PORT: String(port) },
    isReady: (line) => line.includes("http://"),
    // It reports lost connections there, which tests cut on purpose.
    stderr: "null",
  });
  return { ...started, url: /http:\/\/[\d.:]+/.exec(started.readyLine)?.[0] ?? "" };
}
