import { deepStrictEqual } from "node:assert/strict";
import { clockFindings, processFindings } from "./times.ts";

const clock = (of: string, aheadMs: number, errorMs = 1) => ({ of, aheadMs, errorMs });

for (
  const [what, clocks, expected] of [
    ["one time", [clock("this machine", 3), clock("the api at a", -4)], [
      "ok",
      "The clocks of this machine, PostgreSQL and the running processes agree",
    ]],
    ["a second and a half ahead", [clock("this machine", 1_500)], [
      "warning",
      "The clock of this machine is 1.5 s ahead of PostgreSQL's",
    ]],
    ["a second and a half after a slow round trip", [clock("this machine", 1_500, 800)], [
      "ok",
      "The clocks of this machine, PostgreSQL and the running processes agree",
    ]],
    ["a process far behind", [clock("this machine", 0), clock("the worker at b", -40_000)], [
      "failure",
      "The clock of the worker at b is 40.0 s behind PostgreSQL's",
    ]],
    ["processes on both sides of PostgreSQL", [clock("the api at a", 700), clock("c", -700)], [
      "warning",
      "The clocks of the api at a and c differ by 1.4 s",
    ]],
  ] as const
) {
  Deno.test(`clocks with ${what} are ${expected[0]}`, () => {
    const [finding, ...others] = clockFindings(clocks);
    deepStrictEqual([finding?.level, finding?.message], expected);
    deepStrictEqual(others, []);
  });
}

const running = (kind: "api" | "worker" | "gateway", timeZone: string | null = null) => ({
  kind,
  timeZone,
  client: "10.0.0.7",
});

for (
  const [what, list, zone, expected] of [
    ["nothing", [], undefined, ["ok", "warning"]],
    ["an API and a worker", [running("api"), running("worker")], undefined, ["ok"]],
    ["the zone of here", [running("worker", "Asia/Kolkata")], "Asia/Calcutta", ["ok"]],
    ["another zone", [running("worker", "UTC")], "Europe/Berlin", ["ok", "warning"]],
    ["a zone, and none here", [running("worker", "UTC")], undefined, ["ok", "warning"]],
    ["a gateway without a zone", [running("worker", "UTC"), running("gateway")], "UTC", ["ok"]],
  ] as const
) {
  Deno.test(`running processes: ${what}`, () => {
    deepStrictEqual(processFindings(list, zone).map(({ level }) => level), expected);
  });
}

Deno.test("a process with another zone is named", () => {
  deepStrictEqual(processFindings([running("worker", "UTC")], "Europe/Berlin").at(-1), {
    check: "processes",
    level: "warning",
    message: "TIME_ZONE is Europe/Berlin here, and UTC in the worker at 10.0.0.7",
    todo: "give all processes the same TIME_ZONE",
  });
});
