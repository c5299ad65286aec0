import { startTask, type TaskProcess } from "./task_process.ts";

/** The worker in its own process; its log is one JSON object a line. */
type TestWorker = TaskProcess;

/** Starts a worker; resolves when it is ready. */
export function startWorker(
  { databaseUrl, environment }: { databaseUrl: string; environment?: Record<string, string> },
): Promise<TestWorker> {
  return startTask({
    task: "worker",
    env: { DATABASE_URL: databaseUrl, ...environment },
    isReady: (line) => line.includes('"event":"working"'),
  });
}
