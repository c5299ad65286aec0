import { match, strictEqual } from "node:assert/strict";
import { freePort } from "../../dev/free_port.ts";
import {
  DevRun,
  killAt,
  PROGRAM,
  READY,
  stateFolder,
  WITHOUT_SIGINT,
} from "../../testing/dev_run.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };
const WITH_CUTOVER = [...PROGRAM, "--cutover"];

Deno.test("dev --cutover prints how to practise, and the named gateway answers", async () => {
  await using folder = await stateFolder();
  await using run = new DevRun(`${folder.path}/state`, freePort(), WITH_CUTOVER);
  await run.says("cutover probe");
  match(run.output, /export GATEWAY_URL=\S+ LEGACY_URL=\S+/);
  const [, gateway = ""] = /Gateway +(\S+)/.exec(run.output) ?? [];
  const response = await fetch(`${gateway}/api/traceability/MIX-BATCH-88`);
  match(await response.text(), /"lot_code":"MIX-BATCH-88"/);
  strictEqual(response.headers.get("x-powered-by"), "Express");
  strictEqual(await run.end("SIGTERM"), 0);
});

Deno.test(
  "a practice that is killed at any moment of its start leaves no process",
  onLinux,
  async () => {
    await using folder = await stateFolder();
    const started = ["practice.ts", "cutover/legacy/main.ts", "cutover/main.ts"];
    for (const moment of [...started.map((starts) => ({ starts })), { says: READY }]) {
      await killAt(moment, `${folder.path}/state`, [...WITHOUT_SIGINT, ...WITH_CUTOVER]);
    }
  },
);
