import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import type { Mode } from "../exchange/route.ts";
import { parseSteps, type PlanOptions } from "./plan.ts";
import { describeSchedule, scheduleOf } from "./schedule.ts";
import type { RouteVerdict } from "./verdicts.ts";

const FROM = new Date("2026-11-30T10:00:00Z");
const MINUTE_MS = 60_000;
const OPTIONS: PlanOptions = {
  steps: parseSteps("shadow,10,100") ?? [],
  soakMs: 30 * MINUTE_MS,
  samples: 500,
  patienceMs: 240 * MINUTE_MS,
};

function routeOn(
  operation: RouteVerdict["operation"],
  mode: Mode,
  { minutes = 0, same = 0 } = {},
): RouteVerdict {
  const pace = { p50: 1, p99: 2 };
  return {
    operation,
    route: {
      operation,
      mode,
      epoch: 1,
      samplePercent: 100,
      latch: undefined,
      changedAt: undefined,
    },
    judgement: { verdict: "inconclusive", reasons: [] },
    counts: {
      operation,
      epoch: 1,
      seconds: minutes * 60,
      first: null,
      last: null,
      requests: {},
      outcomes: { same },
      coverage: {},
      approvals: {},
    },
    legacy: pace,
    service: pace,
  };
}

/** `operation step minutes from the start`. */
const stepsOf = (states: readonly RouteVerdict[]) =>
  scheduleOf(states, OPTIONS, FROM).steps.map(({ operation, step, at }) =>
    `${operation} ${step} ${(at.getTime() - FROM.getTime()) / MINUTE_MS}`
  );

Deno.test("each step begins at the earliest when the one before has taken its time", () => {
  deepStrictEqual(stepsOf([routeOn("login", { name: "legacy" })]), [
    "login shadow 0",
    "login canary 10 % 30",
    "login service 60",
    "login done 90",
  ]);
});

Deno.test("a present step counts the time that it has had, and its pace", () => {
  const shadow = { name: "shadow" } as const;
  // 300 samples in 20 minutes: the others take 13.3 more, and 33.3 in each later step.
  deepStrictEqual(stepsOf([routeOn("login", shadow, { minutes: 20, same: 300 })]).map(rounded), [
    "login shadow 0",
    "login canary 10 % 13",
    "login service 47",
    "login done 80",
  ]);
  deepStrictEqual(stepsOf([routeOn("login", { name: "service" }, { minutes: 90, same: 900 })]), [
    "login service 0",
    "login done 0",
  ]);
});

Deno.test("operations follow one another, and a later one goes on in its mode meanwhile", () => {
  const states = [
    routeOn("getHealth", { name: "service" }, { minutes: 20 }),
    routeOn("login", { name: "shadow" }, { minutes: 15 }),
  ];
  deepStrictEqual(stepsOf(states), [
    "getHealth service 0",
    "getHealth done 10",
    "login shadow 10",
    "login canary 10 % 15",
    "login service 45",
    "login done 75",
  ]);
});

Deno.test("the schedule names the earliest and the latest end", () => {
  const schedule = scheduleOf([routeOn("login", { name: "legacy" })], OPTIONS, FROM);
  strictEqual(schedule.earliestEnd.toISOString(), "2026-11-30T11:30:00.000Z");
  strictEqual(schedule.latestEnd.toISOString(), "2026-11-30T23:30:00.000Z");
  const lines = describeSchedule(schedule, OPTIONS);
  match(lines[0] ?? "", /^login +shadow +2026-11-30 10:00$/m);
  match(lines.at(-1) ?? "", /^The plan ends at 2026-11-30 11:30 UTC at the earliest\. .* 240 min/);
});

function rounded(line: string): string {
  return line.replace(/[\d.]+$/, (minutes) => String(Math.round(Number(minutes))));
}
