import type { LegacyOperation } from "../exchange/operations.ts";
import { describeMode } from "../routes/routing.ts";
import { columns } from "../../terminal.ts";
import { type PlanOptions, samplesOf, shareOf } from "./plan.ts";
import type { RouteVerdict } from "./verdicts.ts";

/** A step of a plan, and the earliest moment at which it begins. */
interface PlannedStep {
  readonly operation: LegacyOperation;
  /** A mode, or `done`. */
  readonly step: string;
  readonly at: Date;
}

/** When a plan's steps can begin, and when it can end. */
export interface Schedule {
  readonly steps: readonly PlannedStep[];
  readonly earliestEnd: Date;
  /** A plan that isn't done by then has stopped. */
  readonly latestEnd: Date;
}

/**
 * When the steps of a plan that starts at `from` can begin: each takes its least duration, and the time
 * in which its samples come at the pace of the present mode, where there is one.
 *
 * @param states the routes in the plan's order
 */
export function scheduleOf(
  states: readonly RouteVerdict[],
  { steps, soakMs, samples, patienceMs }: PlanOptions,
  from: Date,
): Schedule {
  const planned: PlannedStep[] = [];
  let earliest = 0;
  let latest = 0;
  for (const now of states) {
    const { operation, route: { mode } } = now;
    const plan = (step: string) =>
      planned.push({ operation, step, at: new Date(from.getTime() + earliest) });
    const ageMs = (now.counts.seconds ?? 0) * 1_000;
    const perMs = ageMs > 0 ? samplesOf(now) / ageMs : 0;
    const stepMs = (soaked: number, sampled: number) =>
      Math.max(
        soakMs - soaked,
        perMs > 0 ? (samples - sampled) / perMs : 0,
        0,
      );
    if (mode.name !== "legacy") {
      plan(describeMode(mode));
      // It goes on while the plan is at the operations before it.
      const waited = ageMs + earliest;
      earliest += stepMs(waited, samplesOf(now) + perMs * earliest);
      latest += soakMs + patienceMs;
    }
    for (const step of steps.filter((one) => shareOf(one) > shareOf(mode))) {
      plan(describeMode(step));
      earliest += stepMs(0, 0);
      latest += soakMs + patienceMs;
    }
    plan("done");
  }
  return {
    steps: planned,
    earliestEnd: new Date(from.getTime() + earliest),
    latestEnd: new Date(from.getTime() + latest),
  };
}

/** The schedule as text. */
export function describeSchedule(schedule: Schedule, options: PlanOptions): string[] {
  const { steps, earliestEnd, latestEnd } = schedule;
  return [
    columns(
      ["operation", "step", "begins at the earliest (UTC)"],
      steps.map(({ operation, step, at }) => [operation, step, minuteOf(at)]),
    ),
    `The plan ends at ${minuteOf(earliestEnd)} UTC at the earliest. Each step needs ` +
    `${
      options.soakMs / 60_000
    } minutes, ${options.samples} samples and the verdict pass; the plan ` +
    `stops when one is ${options.patienceMs / 60_000} minutes late, at ${
      minuteOf(latestEnd)
    } UTC ` +
    "at the latest.",
  ];
}

/** A moment in UTC, to the minute. */
export const minuteOf = (at: Date) =>
  `${at.toISOString().slice(0, 10)} ${at.toISOString().slice(11, 16)}`;
