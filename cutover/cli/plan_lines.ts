import type { Sql } from "../../db/sql.ts";
import { printable } from "../../terminal.ts";
import { isLegacyOperation, type Operation } from "../exchange/operations.ts";
import {
  listPlans,
  listStoppingPlans,
  operationOf,
  type StoredPlan,
} from "../rollout/plans_table.ts";
import { stepsText } from "../rollout/plan.ts";
import { minuteOf, scheduleOf } from "../rollout/schedule.ts";
import { readVerdicts, type RouteVerdict } from "../rollout/verdicts.ts";

/** The name of a plan in messages. */
const nameOf = ({ id, operations, who }: StoredPlan) =>
  `Plan ${id} (${operations.join(", ")}, by ${printable(who)})`;

/**
 * What becomes of the running plans after a change of these routes, a sentence each.
 *
 * @param held the routes are held on `legacy` from now on
 */
export async function plansAfter(
  sql: Sql,
  operations: readonly Operation[],
  { held }: { readonly held: boolean },
): Promise<string[]> {
  // The change is made, and its plans stop whether or not they can be listed.
  const plans = await listStoppingPlans(sql, operations.filter(isLegacyOperation)).catch(() => []);
  return plans.map((plan) => {
    const now = operationOf(plan);
    if (operations.includes(now)) {
      return `${nameOf(plan)} stops at ${now}. Start it again when it should go on.`;
    }
    const then = held ? "stops when it comes to a route that is held" : "finds the new mode later";
    return `${nameOf(plan)} goes on with ${now}, and ${then}.`;
  });
}

/** The running plans and those that have ended within a day, as `status` shows them. */
export async function showPlans(
  sql: Sql,
): Promise<{ readonly lines: readonly string[]; readonly json: readonly unknown[] }> {
  const plans = await listPlans(sql);
  const isAnyRunning = plans.some(({ ended_at }) => ended_at === null);
  const { verdicts } = isAnyRunning ? await readVerdicts(sql) : { verdicts: [] };
  return { lines: plans.map((plan) => planLine(plan, verdicts)), json: plans.map(planJson) };
}

function planJson(plan: StoredPlan) {
  const { id, operations, steps, detached, held, who, why, progress } = plan;
  return {
    plan: id,
    operations,
    operation: operationOf(plan),
    steps: stepsText(steps),
    soak_minutes: plan.soakMs / 60_000,
    samples: plan.samples,
    patience_minutes: plan.patienceMs / 60_000,
    detached,
    held,
    who,
    why,
    progress,
    created_at: plan.created_at,
    ended_at: plan.ended_at,
    outcome: plan.outcome,
    end_why: plan.end_why,
    remedy: plan.remedy,
  };
}

function planLine(plan: StoredPlan, verdicts: readonly RouteVerdict[]): string {
  const { progress, ended_at, outcome, end_why, detached, held } = plan;
  if (ended_at !== null) {
    const how = outcome === "done"
      ? "is done"
      : `has stopped at ${operationOf(plan)}: ${end_why ?? "no reason was stored"}`;
    return printable(`${nameOf(plan)} ${how} (${ended_at})`);
  }
  const by = detached
    ? held ? "a gateway carries it out" : "waits for a gateway"
    : held
    ? "carried out at a terminal"
    : "its terminal was closed or killed";
  const left = plan.operations.slice(plan.position - 1)
    .flatMap((operation) => verdicts.filter((one) => one.operation === operation));
  const { earliestEnd } = scheduleOf(left, plan, new Date());
  return printable(
    `${nameOf(plan)}: ${by}, until ${minuteOf(earliestEnd)} UTC at the earliest. ` +
      (progress ?? "It has not begun"),
  );
}
