/** `deno task check`: the format, the style and the types of all files. */

import { answerHelp } from "../task_help.ts";
import { deno } from "./service_copy.ts";

answerHelp({ task: "check", exit: "0 nothing to change; else the code of what found something" });

const ROOT = new URL("../", import.meta.url).pathname;

for (const args of [["fmt", "--check"], ["lint"], ["check"]]) {
  const code = await deno(ROOT, args);
  if (code !== 0) Deno.exit(code);
}
