/**
 * A thread for tests, whose tasks do what can go wrong on one: see jobs/threads_test.ts.
 *
 * @module
 */

import { pid } from "node:process";
import { threadId } from "node:worker_threads";
import type { TaskContext } from "../jobs/heavy_tasks.ts";
import { serveTasks } from "../jobs/serve_tasks.ts";

const ODD_TASKS = {
  /** Which thread and which connection it has. */
  place(_: null, { sessions }: TaskContext) {
    return sessions.use(async ({ sql }) => {
      const [row] = await sql<{ backend: number }[]>`select pg_backend_pid() as backend`;
      return { pid, threadId, backend: row?.backend };
    });
  },
  statement(text: string, { sessions }: TaskContext) {
    return sessions.use(({ sql }) => sql.unsafe(text).then(({ count }) => count));
  },
  fail(message: string): Promise<never> {
    return Promise.reject(new TypeError(message, { cause: "a cause" }));
  },
  /** Fails where no promise is. */
  failLater(message: string) {
    setTimeout(() => {
      throw new RangeError(message);
    });
    return new Promise<never>(() => {});
  },
  end: () => Deno.exit(0),
  unsendable: () => Promise.resolve(() => {}),
  progress(times: number, { progress }: TaskContext) {
    for (let time = 1; time <= times; time++) progress({ time });
    return Promise.resolve(times);
  },
  /** Computes until it is stopped; tells in two numbers that it does, and that it doesn't any more. */
  compute(notified: SharedArrayBuffer, { checkpoint }: TaskContext): Promise<never> {
    const numbers = new Int32Array(notified);
    Atomics.store(numbers, 0, 1);
    try {
      for (;;) checkpoint();
    } finally {
      Atomics.store(numbers, 1, 1);
    }
  },
};

export type OddTasks = typeof ODD_TASKS;

serveTasks(ODD_TASKS);
