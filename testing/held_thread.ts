/**
 * A thread for the heavy work of jobs, held during its computation until it is released: see
 * jobs/heavy_jobs_test.ts.
 *
 * @module
 */

import { HEAVY_TASKS, type TaskContext } from "../jobs/heavy_tasks.ts";
import { serveTasks } from "../jobs/serve_tasks.ts";

/** The additional arguments of a held task. */
export interface Held {
  /**
   * Numbers of 32 bits: 1 when it is held; 1 when it may continue; 1 when it has waited too long.
   */
  readonly latch: SharedArrayBuffer;
}

/** Longer than a successful test takes. */
const MAX_HELD_MS = 30_000;

/** Blocks the whole thread, as a long computation does. */
function hold({ latch }: Held): void {
  const numbers = new Int32Array(latch);
  Atomics.store(numbers, 0, 1);
  if (Atomics.wait(numbers, 1, 0, MAX_HELD_MS) === "timed-out") Atomics.store(numbers, 2, 1);
}

function heldContext(held: Held, context: TaskContext): TaskContext {
  return {
    ...context,
    checkpoint() {
      hold(held);
      context.checkpoint();
    },
  };
}

type ArgsOfTask<N extends keyof typeof HEAVY_TASKS> = Parameters<typeof HEAVY_TASKS[N]>[0];

serveTasks({
  takeTrace: (args: ArgsOfTask<"takeTrace"> & Held, context) =>
    HEAVY_TASKS.takeTrace(args, heldContext(args, context)),
  audit: (args: ArgsOfTask<"audit"> & Held, context) =>
    HEAVY_TASKS.audit(args, heldContext(args, context)),
});
