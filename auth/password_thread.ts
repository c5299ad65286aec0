/**
 * A thread that checks and hashes passwords, in the order of the tasks.
 *
 * @module
 */

import { setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { runTask, type Task } from "./password_work.ts";

// Hashing has the lowest priority. Linux sets it for this thread only.
if (Deno.build.os === "linux") setPriority(0, 19);

let last: Promise<void> = Promise.resolve();
parentPort?.on("message", (task: Task) => {
  // Concurrent tasks would finish in any order.
  last = last.then(async () => parentPort?.postMessage(await runTask(task)));
});
