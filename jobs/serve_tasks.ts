import { parentPort, workerData } from "node:worker_threads";
import { createSessionPool } from "../db/session_pool.ts";
import { openSession } from "../db/session.ts";
import type { TaskContext, Tasks } from "./heavy_tasks.ts";
import {
  type TaskRequest,
  type ThreadMessage,
  type ThreadSettings,
  toPlainError,
} from "./thread_messages.ts";

/** How long an idle connection is kept for the next task, in ms. */
const IDLE_SESSION_MS = 30_000;
/** How long a task's connection may be idle while the task computes, in ms. */
const SESSION_IDLE_MS = 300_000;
/** Progress is sent at most this often, in ms: a walk may report a million levels. */
const PROGRESS_MS = 100;

/** The body of a thread's program: runs the tasks that it is sent, one at a time. */
export function serveTasks(tasks: Tasks): void {
  const { databaseUrl, name, statementTimeoutMs }: ThreadSettings = workerData;
  const sessions = createSessionPool(
    (onEnd) =>
      openSession(databaseUrl, {
        name,
        statementTimeoutMs,
        idleTimeoutMs: SESSION_IDLE_MS,
        onEnd,
      }),
    IDLE_SESSION_MS,
    databaseUrl,
  );
  const send = (message: ThreadMessage<unknown>) => parentPort?.postMessage(message);

  parentPort?.on("message", async ({ task, args, stop }: TaskRequest) => {
    const flag = new Int32Array(stop);
    const checkpoint = () => {
      if (Atomics.load(flag, 0) !== 0) throw new Error("the task is stopped");
    };
    const reporter = createReporter((progress) => send({ progress }));
    const context: TaskContext = {
      sessions,
      checkpoint,
      progress(soFar) {
        checkpoint();
        reporter.report(soFar);
      },
    };
    try {
      const work = tasks[task];
      if (work === undefined) throw new Error(`there is no task ${task}`);
      const result = await work(args, context);
      reporter.stop();
      send({ result });
    } catch (error) {
      reporter.stop();
      send({ error: toPlainError(error) });
    }
  });
}

type Progress = Parameters<TaskContext["progress"]>[0];

/** Sends the first progress at once, then the latest every {@link PROGRESS_MS}. */
function createReporter(send: (progress: Progress) => void) {
  let latest: Progress | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const sendLatest = () => {
    timer = undefined;
    if (latest === undefined) return;
    send(latest);
    latest = undefined;
    timer = setTimeout(sendLatest, PROGRESS_MS);
  };
  return {
    report(progress: Progress) {
      latest = progress;
      if (timer === undefined) sendLatest();
    },
    stop: () => clearTimeout(timer),
  };
}
