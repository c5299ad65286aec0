import { startTask, type TaskProcess } from "./task_process.ts";

/** The worker in its own process; its log is one JSON object a line. */
export type TestWorker = TaskProcess;

/** Starts a worker; resolves when it is ready. */
export function startWorker(
  { databaseUrl, environment, root }: {
    databaseUrl: string;
    environment?: Record<string, string>;
    /** The tree of another version. */
    root?: URL;
  },
): Promise<TestWorker> {
  return startTask({
    task: "worker",
    env: { DATABASE_URL: databaseUrl, ...environment },
    isReady: (line) => line.includes('"event":"working"'),
    ...root && { root },
  });
}
