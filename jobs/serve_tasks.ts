import { parentPort, workerData } from "node:worker_threads";
import { CONNECT_TIMEOUT_MS } from "../db/connect.ts";
import { createSessionPool } from "../db/session_pool.ts";
import type { ReplicaMark } from "../db/replica_marks.ts";
import { openSession } from "../db/session.ts";
import type { TaskContext, Tasks } from "./heavy_tasks.ts";

export type Progress = Parameters<TaskContext["progress"]>[0];

export interface ThreadSettings {
  readonly databaseUrl: string;
  /** Of the replica that tasks may read. */
  readonly replicaUrl?: string | undefined;
  /** The `application_name` of its connections. */
  readonly name: string;
  readonly statementTimeoutMs: number;
}

/** To a thread: a task; it has one at a time. */
export interface TaskRequest {
  readonly task: string;
  readonly args: never;
  /** What the replica has to show, if the task is to read there. */
  readonly mark?: ReplicaMark | undefined;
  /** One `Int32`; not 0: the task must stop. A message would not reach a thread that computes. */
  readonly stop: SharedArrayBuffer;
}

/** From a thread: the progress of its task, then its result or its error. */
export type ThreadMessage<Result> =
  | { readonly progress: Progress }
  | { readonly result: Result }
  | { readonly error: PlainError };

/** An error as data: an error that is sent to another thread loses its code. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** PostgreSQL's SQLSTATE, or another code. */
  readonly code?: string | undefined;
  readonly cause?: PlainError | undefined;
}

const MAX_CAUSES = 5;

export function toPlainError(thrown: unknown, causes = MAX_CAUSES): PlainError {
  if (!(thrown instanceof Error)) return { name: "Error", message: String(thrown) };
  const { name, message, stack, cause } = thrown;
  return {
    name,
    message,
    stack,
    ...("code" in thrown && { code: String(thrown.code) }),
    ...(cause !== undefined && causes > 0 && { cause: toPlainError(cause, causes - 1) }),
  };
}

/** How long an idle connection is kept for the next task, in ms. */
const IDLE_SESSION_MS = 30_000;
/** How long a task's connection may be idle while the task computes, in ms. */
const SESSION_IDLE_MS = 300_000;
/** Progress is sent at most this often, in ms: a walk may report a million levels. */
const PROGRESS_MS = 100;

/** The body of a thread's program: runs the tasks that it is sent, one at a time. */
export function serveTasks(tasks: Tasks): void {
  const { databaseUrl, replicaUrl, name, statementTimeoutMs }: ThreadSettings = workerData;
  const sessionsOf = (url: string, readOnly: boolean) =>
    createSessionPool(
      (onEnd) =>
        openSession(url, {
          name,
          statementTimeoutMs,
          idleTimeoutMs: SESSION_IDLE_MS,
          connectTimeoutMs: CONNECT_TIMEOUT_MS,
          readOnly,
          onEnd,
        }),
      IDLE_SESSION_MS,
      url,
    );
  const sessions = sessionsOf(databaseUrl, false);
  const replicaSessions = replicaUrl === undefined ? undefined : sessionsOf(replicaUrl, true);
  const send = (message: ThreadMessage<unknown>) => parentPort?.postMessage(message);

  parentPort?.on("message", async ({ task, args, mark, stop }: TaskRequest) => {
    const flag = new Int32Array(stop);
    const checkpoint = () => {
      if (Atomics.load(flag, 0) !== 0) throw new Error("the task is stopped");
    };
    const reporter = createReporter((progress) => send({ progress }));
    const context: TaskContext = {
      sessions,
      replica: mark && replicaSessions && { sessions: replicaSessions, mark },
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
