import { addAbortListener } from "node:events";
import type { Replica } from "../db/replica.ts";
import type { ReplicaMark } from "../db/replica_marks.ts";
import type { ArgsOf, HeavyTasks, ResultOf } from "./heavy_tasks.ts";
import { isStoreError } from "./store_error.ts";
import type { RunOptions, Threads } from "./threads.ts";

class ReplicaAwayError extends Error {
  override name = "ReplicaAwayError";
}

/**
 * Runs a task that reads the replica, if there is one that can be read. When that fails, it runs once
 * more and reads the primary. An error of the primary is thrown as it is.
 */
export async function runOnReplica<N extends keyof HeavyTasks>(
  { threads, replica }: { readonly threads: Threads; readonly replica?: Replica | undefined },
  task: N,
  args: ArgsOf<HeavyTasks[N]>,
  mark: ReplicaMark,
  options: Omit<RunOptions, "mark">,
): Promise<ResultOf<HeavyTasks[N]>> {
  if (replica === undefined || replica.problem !== undefined) {
    return await threads.run(task, args, options);
  }
  const { signal } = options;
  const stop = new AbortController();
  using _stopped = addAbortListener(signal, () => stop.abort(signal.reason));
  using _away = replica.onAway(() => {
    // Its connection may carry nothing any more, and the task would wait until its timeout.
    stop.abort(new ReplicaAwayError("the replica went away during the read"));
  });
  try {
    return await threads.run(task, args, { ...options, signal: stop.signal, mark });
  } catch (error) {
    if (signal.aborted) throw error;
    if (isStoreError(error)) throw error.cause;
    replica.failed(task, error);
  }
  return await threads.run(task, args, options);
}
