import { addAbortListener } from "node:events";
import { Worker } from "node:worker_threads";
import type { ReplicaMark } from "../db/replica_marks.ts";
import { createSessionPool } from "../db/session_pool.ts";
import type { ArgsOf, HeavyTasks, ResultOf, Tasks } from "./heavy_tasks.ts";
import type {
  PlainError,
  Progress,
  TaskRequest,
  ThreadMessage,
  ThreadSettings,
} from "./serve_tasks.ts";

export interface RunOptions {
  /** Aborted to stop the task and its thread. */
  readonly signal: AbortSignal;
  readonly progress: (soFar: Progress) => void;
  /** What the replica has to show, if the task is to read there. */
  readonly mark?: ReplicaMark | undefined;
}

export type Threads = ReturnType<typeof createThreads<HeavyTasks>>;

const HEAVY_THREAD = new URL("./heavy_thread.ts", import.meta.url);

/** How long an idle thread is kept, in ms. Starting one takes a tenth of a second. */
const IDLE_THREAD_MS = 30_000;

/** How long after the end of a thread its error may arrive, in ms. */
const CAUSE_MS = 100;

/**
 * Threads that run tasks, one at a time each. Disposing ends them.
 *
 * @param program runs the tasks: see serve_tasks.ts
 */
export function createThreads<T extends Tasks = HeavyTasks>(
  settings: ThreadSettings,
  program = HEAVY_THREAD,
) {
  const threads = createSessionPool(
    (onEnd) => startThread(program, settings, onEnd),
    IDLE_THREAD_MS,
    settings.databaseUrl,
    // A thread has a connection, and one to the replica.
    { name: settings.name },
  );
  return {
    /**
     * Runs a task on an idle thread or a new one. After a failure the thread and idle ones are ended
     * with their connections.
     *
     * @throws the signal's reason as soon as it is aborted; the task's error; an error with its cause
     * when the thread ends
     */
    run: <N extends keyof T & string>(task: N, args: ArgsOf<T[N]>, options: RunOptions) =>
      threads.use((thread) => thread.run<ResultOf<T[N]>>(task, args, options)),
    [Symbol.dispose]: () => void threads[Symbol.asyncDispose](),
  };
}

interface Thread extends AsyncDisposable {
  run<Result>(task: string, args: never, options: RunOptions): Promise<Result>;
}

/** @param onEnd called when the thread has ended */
function startThread(program: URL, settings: ThreadSettings, onEnd: () => void): Thread {
  const worker = new Worker(program, { workerData: settings });
  let onMessage: (message: ThreadMessage<never>) => void = () => {};
  let fail: (error: Error) => void = () => {};
  const ended = (error: Error) => {
    onEnd();
    fail(error);
  };
  worker.on("message", (message: ThreadMessage<never>) => onMessage(message));
  worker.on("error", (cause) => ended(new Error("the thread of a task failed", { cause })));
  worker.on("exit", () => {
    const error = new Error("the thread of a task ended before it");
    // Its cause may arrive after its end.
    setTimeout(ended, CAUSE_MS, error);
  });

  return {
    async run(task, args, { signal, progress, mark }) {
      signal.throwIfAborted();
      const stop = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
      const outcome = Promise.withResolvers<never>();
      using _listener = addAbortListener(signal, () => {
        // Deno ends a thread only between its messages, which one that computes doesn't reach.
        Atomics.store(new Int32Array(stop), 0, 1);
        outcome.reject(signal.reason);
      });
      fail = outcome.reject;
      onMessage = (message) => {
        if ("progress" in message) progress(message.progress);
        else if ("error" in message) outcome.reject(fromPlainError(message.error));
        else outcome.resolve(message.result);
      };
      const request: TaskRequest = { task, args, mark, stop };
      worker.postMessage(request);
      return await outcome.promise;
    },
    [Symbol.asyncDispose]: async () => void await worker.terminate(),
  };
}

export function fromPlainError({ message, cause, ...rest }: PlainError): Error {
  const options = cause === undefined ? {} : { cause: fromPlainError(cause) };
  return Object.assign(new Error(message, options), rest);
}
