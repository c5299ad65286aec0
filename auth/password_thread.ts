/**
 * A thread that hashes: it answers questions in the order in which they come.
 *
 * @module
 */

import { setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { runTask, type Task } from "./password_work.ts";

// Hashing may wait for everything else that the machine has to do. On Linux this is for the thread,
// not for the process.
if (Deno.build.os === "linux") setPriority(0, 19);

let last: Promise<void> = Promise.resolve();
parentPort?.on("message", (task: Task) => {
  // One after the other: two at once would finish in any order.
  last = last.then(async () => parentPort?.postMessage(await runTask(task)));
});
