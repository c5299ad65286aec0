/**
 * A thread for tests, whose tasks fail in every possible way: see jobs/threads_test.ts.
 *
 * @module
 */

import { pid } from "node:process";
import { threadId } from "node:worker_threads";
import type { TaskContext } from "../jobs/heavy_tasks.ts";
import { serveTasks } from "../jobs/serve_tasks.ts";

const ODD_TASKS = {
  /** Its thread and its connection. */
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
  /** Fails outside of any promise. */
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
  /** Computes until it is stopped; two numbers show that it runs, and that it has ended. */
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
