import { startTask, type TaskProcess } from "./task_process.ts";

/** The worker as a process of its own; its log is a JSON object a line. */
export type TestWorker = TaskProcess;

/** Starts a worker; resolves when it works. */
export function startWorker(
  { databaseUrl, environment }: { databaseUrl: string; environment?: Record<string, string> },
): Promise<TestWorker> {
  return startTask({
    task: "worker",
    env: { DATABASE_URL: databaseUrl, ...environment },
    isReady: (line) => line.includes('"event":"working"'),
  });
}
