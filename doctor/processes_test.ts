import { deepStrictEqual } from "node:assert/strict";
import { processFindings } from "./processes.ts";

const HERE = "0.1.0+aaaaaaaa";

interface Given {
  readonly zone?: string;
  readonly version?: string | null;
}

const running = (
  kind: "api" | "worker" | "gateway",
  { zone, version = HERE }: Given = {},
) => ({ kind, timeZone: zone ?? null, client: "10.0.0.7", version });

const other = { version: "0.1.0+bbbbbbbb" };

for (
  const [what, list, zone, expected] of [
    ["nothing", [], undefined, ["ok", "warning"]],
    ["an API and a worker", [running("api"), running("worker")], undefined, ["ok", "ok"]],
    ["the zone of here", [running("worker", { zone: "Asia/Kolkata" })], "Asia/Calcutta", [
      ...["ok", "ok"],
    ]],
    ["another zone", [running("worker", { zone: "UTC" })], "Europe/Berlin", [
      ...["ok", "ok", "warning"],
    ]],
    ["a zone, and none here", [running("worker", { zone: "UTC" })], undefined, [
      ...["ok", "ok", "warning"],
    ]],
    ["a gateway without a zone", [running("worker", { zone: "UTC" }), running("gateway")], "UTC", [
      ...["ok", "ok"],
    ]],
    ["another version than here", [running("worker", other)], undefined, ["ok", "note"]],
    ["a version that isn't known yet", [running("worker", { version: null })], undefined, ["ok"]],
    ["two versions", [running("worker"), running("api", other)], undefined, ["ok", "warning"]],
  ] as const
) {
  Deno.test(`running processes: ${what}`, () => {
    const findings = processFindings(list, { timeZone: zone, version: HERE });
    deepStrictEqual(findings.map(({ level }) => level), expected);
  });
}

Deno.test("a process with another zone is named, and those with another version", () => {
  const list = [running("worker", { zone: "UTC" }), running("api", { ...other, zone: "UTC" })];
  const [, version, zone] = processFindings(list, { timeZone: "Europe/Berlin", version: HERE });
  deepStrictEqual(zone, {
    check: "processes",
    level: "warning",
    message: "TIME_ZONE is Europe/Berlin here, and UTC in the worker at 10.0.0.7, " +
      "the api at 10.0.0.7",
    todo: "give all processes the same TIME_ZONE",
  });
  deepStrictEqual(
    version?.message,
    "The processes run different code: 0.1.0+aaaaaaaa in the worker at 10.0.0.7; " +
      "0.1.0+bbbbbbbb in the api at 10.0.0.7",
  );
});
