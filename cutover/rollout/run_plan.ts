import type { Sql } from "../../db/sql.ts";
import { sentenceOf } from "../../terminal.ts";
import { delay } from "../../timing.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { describeMode, type Note } from "../routes/routing.ts";
import {
  carryPlan,
  describeLeftOut,
  describeState,
  type PlanEnd,
  type PlanEvent,
  verdictOf,
} from "./carry_plan.ts";
import { type NextStep, nextStep, type PlanOptions } from "./plan.ts";
import {
  endPlan,
  findPlan,
  insertPlan,
  operationOf,
  renewPlan,
  type StoredPlan,
} from "./plans_table.ts";
import { describeSchedule, scheduleOf } from "./schedule.ts";
import { readVerdicts } from "./verdicts.ts";

interface PlanContext {
  readonly sql: Sql;
  /** Reports progress, a sentence at a time. */
  readonly print: (line: string) => void;
  /** Ends the plan; the routes stay where they are. */
  readonly signal: AbortSignal;
  readonly note: Note;
}

const CHECK_MS = 500;
/** The time between two reports of a wait, in ms. */
const REPORT_EVERY_MS = 60_000;
/** How long PostgreSQL may be unavailable, in ms. */
const RETRY_MS = 300_000;

/**
 * Moves operations to Lotline, one after the other, each from its present mode. The plan is stored, so
 * that others see it; this process alone carries it out.
 *
 * @throws {RouteRefusedError} when another plan moves one of its routes
 */
export async function runPlan(
  { sql, print, signal, note }: PlanContext,
  operations: readonly LegacyOperation[],
  options: PlanOptions,
): Promise<PlanEnd> {
  let [operation] = operations;
  if (operation === undefined) throw new Error("a plan without an operation");
  const holder = crypto.randomUUID();
  const mine = { id: await insertPlan(sql, { operations, options, note, holder }), holder };
  const report = reporter(print);
  let respondedAt = performance.now();
  while (!signal.aborted) {
    const began = performance.now();
    try {
      const plan = await renewPlan(sql, mine);
      if (plan === undefined) return await endOf(sql, mine.id);
      operation = operationOf(plan);
      const state = await readVerdicts(sql);
      respondedAt = performance.now();
      const end = await carryPlan({ sql, holder, report }, plan, state);
      if (end !== undefined) return end;
    } catch (error) {
      if (performance.now() - respondedAt > RETRY_MS) throw error;
      print(`${operation} waits: ${sentenceOf(error)}`);
    }
    // A long epoch of a busy plant takes long to read.
    const pauseMs = Math.max(CHECK_MS, 4 * (performance.now() - began));
    await delay(pauseMs, signal);
  }
  const why = "interrupted";
  await endPlan(sql, mine, { outcome: "stopped", why });
  return { end: "interrupted", operation, why };
}

/** Prints what a plan does; a wait at its begin and once a minute. */
function reporter(print: (line: string) => void): (event: PlanEvent) => void {
  let reportedAt = -Infinity;
  return ({ what, says }) => {
    const now = performance.now();
    if (what === "waits" && now - reportedAt < REPORT_EVERY_MS) return;
    if (what === "waits" || what === "moved") reportedAt = now;
    print(says);
  };
}

/** The end of a plan that somebody else has ended. */
async function endOf(sql: Sql, id: string): Promise<PlanEnd> {
  const plan = await findPlan(sql, id);
  if (plan === undefined) throw new Error(`plan ${id} is gone`);
  return plan.outcome === "done" ? { end: "done" } : stoppedEnd(plan);
}

function stoppedEnd(plan: StoredPlan): PlanEnd {
  const { end_why: why, remedy } = plan;
  const operation = operationOf(plan);
  return {
    end: "stopped",
    operation,
    why: why ?? "another process carries it out",
    ...remedy && { first: remedy },
  };
}

/** What a plan would do, a line each, without doing it. */
export async function describePlan(
  sql: Sql,
  operations: readonly LegacyOperation[],
  options: PlanOptions,
): Promise<string[]> {
  const { killed, verdicts } = await readVerdicts(sql);
  const lines = operations.flatMap((operation) => {
    const now = verdictOf(verdicts, operation);
    const step = nextStep({ killed, now, expectedEpoch: now.route.epoch, waitedMs: 0 }, options);
    return [
      `${operation} is on ${describeMode(now.route.mode)}: ${describeState(now)}`,
      `  would ${describeStep(step)}`,
    ];
  });
  const states = operations.map((operation) => verdictOf(verdicts, operation));
  const schedule = describeSchedule(scheduleOf(states, options, new Date()), options);
  return [...lines, ...schedule, "Nothing was changed."];
}

function describeStep(step: NextStep): string {
  if (step.do === "done") return "be done";
  if (step.do === "move") {
    return `go to ${describeMode(step.to)} now${describeLeftOut(step.leftOut)}`;
  }
  return step.do === "stop" ? `stop at once: ${step.why}` : `wait: ${step.why}`;
}
