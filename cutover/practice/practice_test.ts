import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { connect } from "../../db/connect.ts";
import { freePort } from "../../dev/free_port.ts";
import {
  DevRun,
  killAt,
  PROGRAM,
  READY,
  stateFolder,
  WITHOUT_SIGINT,
} from "../../testing/dev_run.ts";
import { eventually } from "../../testing/eventually.ts";
import { taskOutput } from "../../testing/task_output.ts";
import { clearLatch, setMode } from "../routes/routes_table.ts";
import { sendLoad } from "./load.ts";
import { noteAddresses, readAddresses } from "./practice_files.ts";

const onLinux = { ignore: Deno.build.os !== "linux" };
const WITH_CUTOVER = [...PROGRAM, "--cutover"];

Deno.test("a planted fault rolls a route back under load, and the practice survives a killed API", async () => {
  await using folder = await stateFolder();
  const state = `${folder.path}/state`;
  const planted = [...WITH_CUTOVER, "--break", "getTraceability=difference"];
  await using run = new DevRun(state, freePort(), planted);
  await run.says("cutover history");
  match(run.output, /export GATEWAY_URL=\S+ LEGACY_URL=\S+/);
  match(run.output, /Planted +getTraceability=difference/);
  const practice = await readAddresses(state);
  ok(practice !== undefined);
  const trace = () => fetch(`${practice.gatewayUrl}/api/traceability/MIX-BATCH-88`);
  const first = await trace();
  strictEqual(first.headers.get("x-powered-by"), "Express");
  match(await first.text(), /"lot_code":"MIX-BATCH-88"/);

  const sql = connect({ url: practice.databaseUrl, max: 1 });
  try {
    const lines: string[] = [];
    const stop = new AbortController();
    const load = sendLoad(practice, {
      perSecond: 40,
      seconds: undefined,
      print: (line) => lines.push(line),
      signal: stop.signal,
    });
    const note = { who: "test", why: "a practice" };
    await eventually("it sends", () => Promise.resolve(lines.length > 0));
    await setMode(sql, { operation: "getTraceability", mode: { name: "shadow" }, ...note });
    await eventually(
      "the route goes back by itself",
      () =>
        lines.some((line) =>
          /AUTOMATIC ROLLBACK: getTraceability from shadow to legacy, .* unapproved difference/
            .test(line)
        ),
    ).catch((error) => {
      throw new Error(`${error.message}: ${lines.join("\n")}`);
    });
    stop.abort();
    ok(await load > 0);

    const repaired = await taskOutput(["practice", "repair"], { LOTLINE_DATA: state });
    match(repaired.output, /^Lotline's responses are right again\./);
    Deno.kill(Number(await Deno.readTextFile(`${state}/api.pid`)), "SIGKILL");
    await run.says("The API runs again");
    await clearLatch(sql, { operation: "getTraceability", ...note });
    await setMode(sql, { operation: "getTraceability", mode: { name: "service" }, ...note });
    await eventually("Lotline responds, without the fault", async () => {
      const response = await trace();
      const text = await response.text();
      return !response.headers.has("x-powered-by") && !text.includes("planted");
    });
  } finally {
    await sql.end({ timeout: 1 });
  }
  strictEqual(await run.end("SIGTERM"), 0);
});

Deno.test("the commands of a practice name what is missing or mistyped", async () => {
  await using folder = await stateFolder();
  const env = { LOTLINE_DATA: folder.path };
  const none = await taskOutput(["practice", "load"], env);
  deepStrictEqual([none.code, none.output], [1, ""]);
  match(none.error, /^No practice runs on this state folder: start deno task dev --cutover/);
  await noteAddresses(folder.path, { gatewayUrl: "http://127.0.0.1:1", databaseUrl: "" });
  const mistyped = await taskOutput(["practice", "break", "createLot=fire"], env);
  deepStrictEqual([mistyped.code, mistyped.output], [2, ""]);
  match(mistyped.error, /^A fault is OPERATION\[=difference\|slow\|crash\]$/);
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
