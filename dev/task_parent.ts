/**
 * `deno task dev` runs this program as a child, which would outlive a task that is killed.
 *
 * @module
 */

import { commandLine } from "./tied_process.ts";

const LOOK_EVERY_MS = 250;

/**
 * Calls `end` when the `deno task` that has started this process is gone. Nothing where it was started
 * without a task, and on Windows, where a parent can't be told from one that is gone.
 */
export async function endWithTask(end: () => void): Promise<void> {
  if (Deno.env.get("LOTLINE_TASK") !== "dev" || Deno.build.os === "windows") return;
  const parent = Deno.ppid;
  // It may have been gone before this was asked; its children then have another parent.
  const isTask = (await commandLine(parent)).split(" ").includes("task");
  const look = () => {
    if (isTask && Deno.ppid === parent) return;
    clearInterval(timer);
    end();
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  Deno.unrefTimer(timer);
  look();
}
