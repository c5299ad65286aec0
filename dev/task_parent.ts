/**
 * `deno task dev` runs this program as a child, which would outlive a killed task.
 *
 * @module
 */

import { commandLine } from "./tied_process.ts";

const LOOK_EVERY_MS = 250;

/**
 * Calls `end` when the `deno task` that started this process has ended. Does nothing without a
 * task, and on Windows, where a parent that has ended can't be detected.
 */
export async function endWithTask(end: () => void): Promise<void> {
  if (Deno.env.get("LOTLINE_TASK") !== "dev" || Deno.build.os === "windows") return;
  const parent = Deno.ppid;
  // It may have ended before this check; its children then have another parent.
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
