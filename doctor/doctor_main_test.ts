import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { z } from "zod";
import { freePort } from "../dev/free_port.ts";
import { startApi } from "../testing/api.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { taskOutput } from "../testing/task_output.ts";
import { startWorker } from "../testing/worker.ts";
import { textOf } from "./report.ts";
import { runChecks } from "./run_checks.ts";

const Report = z.strictObject({
  ok: z.boolean(),
  findings: z.array(z.strictObject({
    check: z.string(),
    level: z.enum(["ok", "note", "warning", "failure"]),
    message: z.string().min(1),
    todo: z.string().min(1).optional(),
  })).min(1),
});

/** The checks in docs/doctor.md, sorted. */
async function documentedChecks(): Promise<string[]> {
  const page = await Deno.readTextFile(new URL("../docs/doctor.md", import.meta.url));
  const [, section = ""] = /^## The checks$([^]*?)^## /m.exec(page) ?? [];
  return [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, name = ""]) => name).sort();
}

Deno.test("a set-up that works has no finding but that it works", async () => {
  await using valkey = await ownValkey();
  const VALKEY_URL = valkey.server.url;
  await using api = await startApi({ environment: { VALKEY_URL } });
  const DATABASE_URL = api.database?.url ?? "";
  await using _worker = await startWorker({
    databaseUrl: DATABASE_URL,
    environment: { VALKEY_URL },
  });
  const environment = {
    DATABASE_URL,
    VALKEY_URL,
    AUTH_MODE: "legacy",
    JWT_KEYS_FILE: api.keyFile,
  };
  let odd: unknown[] = [];
  await eventually("the worker has begun", async () => {
    const findings = await runChecks(environment);
    // The disk is the machine's.
    odd = findings.filter(({ level, check }) => level !== "ok" && check !== "disk");
    return odd.length === 0;
  }, { seconds: 60 }).catch((error) => {
    throw new Error(JSON.stringify(odd), { cause: error });
  });

  const well = (await runChecks(environment)).filter(({ check }) => check !== "disk");
  deepStrictEqual(textOf(well).split("\n").slice(-2), [
    "0 failures, 0 warnings, 0 notes",
    "all is well",
  ]);
  const { code, output, error } = await taskOutput(["doctor", "--json"], environment);
  const report = Report.parse(JSON.parse(output));
  deepStrictEqual([code, error, report.ok], [0, "", true]);
  const shown = new Set(report.findings.map(({ check }) => check));
  // They need a file that an address names, and addresses for them.
  shown.add("certificates").add("direct address").add("replica");
  deepStrictEqual([...shown].sort(), await documentedChecks());
  const running = report.findings.find(({ check }) => check === "processes");
  strictEqual(running?.message, "Running processes: 1 api, 1 worker");
});

Deno.test("a failure is exit code 1, in a table or as JSON, without the password", async () => {
  const env = { DATABASE_URL: `postgres://u:canary-word@127.0.0.1:${freePort()}/d` };
  const table = await taskOutput(["doctor"], env);
  strictEqual(table.code, 1);
  ok(/^FAILURE +database +The database can't be reached \(/m.test(table.output), table.output);
  ok(/^ +→ check host and port in DATABASE_URL/m.test(table.output), table.output);
  ok(/^1 failure, 0 warnings, \d+ notes$/m.test(table.output), table.output);
  const json = await taskOutput(["doctor", "--json"], env);
  deepStrictEqual([json.code, Report.parse(JSON.parse(json.output)).ok], [1, false]);
  for (const { output, error } of [table, json]) {
    ok(!`${output}${error}`.includes("canary"), output);
    strictEqual(error, "");
  }
});

Deno.test("without settings each that is missing is a failure", async () => {
  const { code, output } = await taskOutput(["doctor", "--json"], {});
  const { findings } = Report.parse(JSON.parse(output));
  strictEqual(code, 1);
  ok(
    findings.some(({ level, message }) =>
      level === "failure" && message.startsWith("DATABASE_URL is missing")
    ),
  );
});

Deno.test("wrong usage is exit code 2", async () => {
  for (const args of [["--jsn"], ["everything"]]) {
    const { code, output, error } = await taskOutput(["doctor", ...args], {});
    deepStrictEqual([code, output, error.split("\n")[0]], [
      2,
      "",
      "usage: deno task doctor [--json]",
    ]);
  }
});
