import type { Sql } from "../../db/sql.ts";
import { coverageOf, describeCauses } from "../evidence/coverage.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { describeShare } from "../routes/moved_share.ts";
import { type CarriedPlan, setMode } from "../routes/routes_table.ts";
import { describeMode, RouteRefusedError } from "../routes/routing.ts";
import { nextStep, type Remedy, samplesOf } from "./plan.ts";
import { endPlan, notePlan, operationOf, type StoredPlan } from "./plans_table.ts";
import type { RouteVerdict } from "./verdicts.ts";

/** How a plan ended, and why unless it is done. */
export type PlanEnd = { readonly end: "done" } | {
  readonly end: "stopped" | "interrupted";
  readonly operation: LegacyOperation;
  readonly why: string;
  readonly first?: Remedy;
};

/** What a plan has just done, with a sentence for a person. */
export interface PlanEvent {
  readonly what: "found" | "moved" | "waits" | "done";
  readonly operation: LegacyOperation;
  readonly says: string;
}

interface CarryContext {
  readonly sql: Sql;
  /** This process; it holds the plan's lease. */
  readonly holder: string;
  readonly report: (event: PlanEvent) => void;
}

/**
 * Takes a plan one look further: it moves a route, waits or ends. Undefined: it goes on, or another
 * process has it by now.
 */
export async function carryPlan(
  context: CarryContext,
  plan: StoredPlan,
  { killed, verdicts }: { readonly killed: boolean; readonly verdicts: readonly RouteVerdict[] },
): Promise<PlanEnd | undefined> {
  const { sql, holder, report } = context;
  const mine: CarriedPlan = { id: plan.id, holder };
  const operation = operationOf(plan);
  const now = verdictOf(verdicts, operation);
  const at = { position: plan.position, epoch: plan.epoch ?? now.route.epoch };
  const tell = async (what: PlanEvent["what"], says: string, isNew: boolean) => {
    const noted = await notePlan(sql, mine, { progress: says, ...isNew && { at } });
    if (noted) report({ what, operation, says });
    return noted;
  };
  if (plan.epoch === null) {
    const found = `${operation} is on ${describeMode(now.route.mode)}: ${describeState(now)}`;
    if (!await tell("found", found, true)) return undefined;
  }
  const waitedMs = plan.epoch === null ? 0 : plan.waitedMs;
  const step = nextStep({ killed, now, expectedEpoch: at.epoch, waitedMs }, plan);
  switch (step.do) {
    case "done":
      return await finish(context, plan, now);
    case "stop":
      return await stop(context, plan, step.why, step.first);
    case "wait":
      await tell("waits", `${operation} waits: ${step.why}`, false);
      return undefined;
    case "move": {
      const { who, why } = plan;
      try {
        const change = { operation, mode: step.to, expectedEpoch: at.epoch, who, why, plan: mine };
        const { route } = await setMode(sql, change);
        const goes = `${operation} goes to ${describeMode(route.mode)}${
          describeLeftOut(step.leftOut)
        }`;
        await tell("moved", `${goes}: ${describeState(now)}`, false);
        return undefined;
      } catch (error) {
        if (!(error instanceof RouteRefusedError)) throw error;
        return await stop(context, plan, error.message);
      }
    }
  }
}

/** Goes on with the next operation, or ends the plan. */
async function finish(
  { sql, holder, report }: CarryContext,
  { id, operations, position }: StoredPlan,
  now: RouteVerdict,
): Promise<PlanEnd | undefined> {
  const { operation } = now;
  const says = `${operation} is done: ${describeMode(now.route.mode)}, ${describeState(now)}`;
  const isLast = position >= operations.length;
  const at = { position: position + 1, epoch: null };
  const noted = await notePlan(sql, { id, holder }, { progress: says, ...!isLast && { at } });
  if (!noted) return undefined;
  report({ what: "done", operation, says });
  if (!isLast) return undefined;
  return await endPlan(sql, { id, holder }, { outcome: "done" }) ? { end: "done" } : undefined;
}

async function stop(
  { sql, holder }: CarryContext,
  plan: StoredPlan,
  why: string,
  first?: Remedy,
): Promise<PlanEnd | undefined> {
  const end = { outcome: "stopped", why, ...first && { first } } as const;
  // Without the lease, what this process has seen may be another one's step.
  if (!await endPlan(sql, { id: plan.id, holder }, end)) return undefined;
  return { end: "stopped", operation: operationOf(plan), why, ...first && { first } };
}

export function verdictOf(
  verdicts: readonly RouteVerdict[],
  operation: LegacyOperation,
): RouteVerdict {
  const found = verdicts.find((one) => one.operation === operation);
  if (found === undefined) throw new Error(`${operation} has no verdict`);
  return found;
}

/** A route's samples and verdict, such as `300 samples, pass`. */
export function describeState(now: RouteVerdict): string {
  const { verdict, reasons } = now.judgement;
  const because = reasons.length === 0 ? "" : ` (${reasons.join("; ")})`;
  const share = now.route.mode.name === "canary" && now.share !== undefined
    ? `, ${describeShare(now.share)}`
    : "";
  const { lost, due, lostBy } = coverageOf(now.counts);
  const gone = lost === 0 ? "" : `${lost} of ${due} lost (${describeCauses(lostBy)}), `;
  return `${samplesOf(now)} samples${share}, ${gone}${verdict}${because}`;
}

export function describeLeftOut(leftOut: readonly string[] = []): string {
  return leftOut.length === 0 ? "" : ` (${leftOut.join("; ")})`;
}
