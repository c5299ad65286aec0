import type { Sql } from "../../db/sql.ts";
import { sentenceOf } from "../../terminal.ts";
import { delay } from "../../timing.ts";
import { coverageOf, describeCauses } from "../evidence/coverage.ts";
import { describeShare } from "../routes/moved_share.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { type NextStep, nextStep, type PlanOptions, type Remedy, samplesOf } from "./plan.ts";
import { describeMode, type Note, RouteRefusedError } from "../routes/routing.ts";
import { setMode } from "../routes/routes_table.ts";
import { readVerdicts, type RouteVerdict } from "./verdicts.ts";

interface PlanContext {
  readonly sql: Sql;
  /** Reports progress, a sentence at a time. */
  readonly print: (line: string) => void;
  /** Ends the plan; the routes stay where they are. */
  readonly signal: AbortSignal;
  readonly note: Note;
}

/** How a plan ended, and why unless it is done. */
type PlanEnd = { readonly end: "done" } | {
  readonly end: "stopped" | "interrupted";
  readonly operation: LegacyOperation;
  readonly why: string;
  readonly first?: Remedy;
};

const CHECK_MS = 500;
/** The time between two reports of a wait, in ms. */
const REPORT_EVERY_MS = 60_000;
/** How long PostgreSQL may be unavailable, in ms. */
const RETRY_MS = 300_000;

/** Moves operations to Lotline, one after the other, each from its present mode. */
export async function runPlan(
  context: PlanContext,
  operations: readonly LegacyOperation[],
  options: PlanOptions,
): Promise<PlanEnd> {
  for (const operation of operations) {
    const ended = await moveOne(context, operation, options);
    if (ended.end !== "done") return ended;
  }
  return { end: "done" };
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
      `${operation} is on ${describeMode(now.route.mode)}: ${printState(now)}`,
      `  would ${describeStep(step)}`,
    ];
  });
  const steps = options.steps.map(describeMode).join(", ");
  return [
    ...lines,
    `Steps: ${steps}; each needs ${options.soakMs / 60_000} minutes, ${options.samples} samples ` +
    "and the verdict pass. Nothing was changed.",
  ];
}

function describeStep(step: NextStep): string {
  if (step.do === "done") return "be done";
  if (step.do === "move") return `go to ${describeMode(step.to)} now${printLeftOut(step.leftOut)}`;
  return step.do === "stop" ? `stop at once: ${step.why}` : `wait: ${step.why}`;
}

async function moveOne(
  { sql, print, signal, note }: PlanContext,
  operation: LegacyOperation,
  options: PlanOptions,
): Promise<PlanEnd> {
  let epoch: number | undefined;
  let since = performance.now();
  let reportedAt = -Infinity;
  let respondedAt = performance.now();
  while (!signal.aborted) {
    const began = performance.now();
    try {
      const { killed, verdicts } = await readVerdicts(sql);
      const now = verdictOf(verdicts, operation);
      respondedAt = performance.now();
      if (epoch === undefined) {
        epoch = now.route.epoch;
        print(`${operation} is on ${describeMode(now.route.mode)}: ${printState(now)}`);
      }
      const waitedMs = performance.now() - since;
      const step = nextStep({ killed, now, expectedEpoch: epoch, waitedMs }, options);
      if (step.do === "done") {
        print(`${operation} is done: ${describeMode(now.route.mode)}, ${printState(now)}`);
        return { end: "done" };
      }
      if (step.do === "stop") {
        const { why, first } = step;
        return { end: "stopped", operation, why, ...first && { first } };
      }
      if (step.do === "move") {
        const change = { ...note, operation, mode: step.to, expectedEpoch: epoch };
        const { route } = await setMode(sql, change);
        print(
          `${operation} goes to ${describeMode(route.mode)}${printLeftOut(step.leftOut)}: ` +
            printState(now),
        );
        epoch = route.epoch;
        since = reportedAt = performance.now();
      } else if (performance.now() - reportedAt >= REPORT_EVERY_MS) {
        print(`${operation} waits: ${step.why}`);
        reportedAt = performance.now();
      }
    } catch (error) {
      if (error instanceof RouteRefusedError) {
        return { end: "stopped", operation, why: error.message };
      }
      if (performance.now() - respondedAt > RETRY_MS) throw error;
      print(`${operation} waits: ${sentenceOf(error)}`);
    }
    // A long epoch of a busy plant takes long to read.
    const pauseMs = Math.max(CHECK_MS, 4 * (performance.now() - began));
    await delay(pauseMs, signal);
  }
  return { end: "interrupted", operation, why: "interrupted" };
}

function verdictOf(verdicts: readonly RouteVerdict[], operation: LegacyOperation): RouteVerdict {
  const found = verdicts.find((one) => one.operation === operation);
  if (found === undefined) throw new Error(`${operation} has no verdict`);
  return found;
}

function printState(now: RouteVerdict): string {
  const { verdict, reasons } = now.judgement;
  const because = reasons.length === 0 ? "" : ` (${reasons.join("; ")})`;
  const share = now.route.mode.name === "canary" && now.share !== undefined
    ? `, ${describeShare(now.share)}`
    : "";
  const { lost, due, lostBy } = coverageOf(now.counts);
  const gone = lost === 0 ? "" : `${lost} of ${due} lost (${describeCauses(lostBy)}), `;
  return `${samplesOf(now)} samples${share}, ${gone}${verdict}${because}`;
}

function printLeftOut(leftOut: readonly string[] = []): string {
  return leftOut.length === 0 ? "" : ` (${leftOut.join("; ")})`;
}
