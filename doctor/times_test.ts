import { deepStrictEqual } from "node:assert/strict";
import { clockFindings } from "./times.ts";

const clock = (of: string, aheadMs: number, errorMs = 1) => ({ of, aheadMs, errorMs });

for (
  const [what, clocks, expected] of [
    ["one time", [clock("this machine", 3), clock("the api at a", -4)], [
      "ok",
      "The clocks of this machine and of the running processes are at most 4 ms from PostgreSQL's",
    ]],
    ["a second and a half ahead", [clock("this machine", 1_500)], [
      "warning",
      "The clock of this machine is 1.5 s ahead of PostgreSQL's",
    ]],
    ["a second and a half after a slow round trip", [clock("this machine", 1_500, 800)], [
      "ok",
      "The clocks of this machine and of the running processes are at most 1500 ms from PostgreSQL's",
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
