import type { Sql } from "../../db/sql.ts";
import { describeError, type Log } from "../../log.ts";
import { delay } from "../../timing.ts";
import { carryPlan } from "./carry_plan.ts";
import { claimPlans, releasePlans, type StoredPlan } from "./plans_table.ts";
import { readVerdicts } from "./verdicts.ts";

/** The time between two looks at the plans, in ms. */
const CHECK_MS = 1_000;
/** The same after a look that failed. */
const RETRY_MS = 5_000;

/**
 * Carries out plans that no terminal does, until disposal. Every gateway runs this; a lease admits one
 * to a plan, and another one goes on when its process ends.
 *
 * @param onMoved called when it has moved a route; other gateways see it by polling
 */
export function startPlanRunner({ sql, log, onMoved }: {
  readonly sql: Sql;
  readonly log: Log;
  readonly onMoved: () => void;
}): AsyncDisposable {
  const holder = crypto.randomUUID();
  const end = new AbortController();
  let held = new Set<string>();

  const carry = async (plan: StoredPlan, state: Awaited<ReturnType<typeof readVerdicts>>) => {
    const { id } = plan;
    const operations = plan.operations.join(", ");
    if (!held.has(id)) log("info", "plan_taken", { plan: id, operations });
    const ended = await carryPlan(
      {
        sql,
        holder,
        report({ what, operation, says }) {
          if (what !== "moved") return;
          log("info", "plan_moved_route", { plan: id, operation, says });
          onMoved();
        },
      },
      plan,
      state,
    );
    if (ended?.end === "done") log("info", "plan_done", { plan: id, operations });
    else if (ended !== undefined) {
      log("warn", "plan_stopped", { plan: id, operation: ended.operation, why: ended.why });
    }
  };

  const look = async () => {
    const plans = await claimPlans(sql, holder);
    if (plans.length > 0) {
      const state = await readVerdicts(sql);
      for (const plan of plans) await carry(plan, state);
    }
    held = new Set(plans.map(({ id }) => id));
  };

  const running = (async () => {
    let hasFailed = false;
    while (!end.signal.aborted) {
      const began = performance.now();
      try {
        await look();
        if (hasFailed) log("info", "plans_recovered");
        hasFailed = false;
      } catch (error) {
        if (!hasFailed && !end.signal.aborted) {
          log("warn", "plans_failed", { error: describeError(error) });
        }
        hasFailed = true;
      }
      // A long epoch of a busy plant takes long to read.
      const pauseMs = Math.max(hasFailed ? RETRY_MS : CHECK_MS, 4 * (performance.now() - began));
      await delay(pauseMs, end.signal);
    }
    // Its leases end by themselves when this fails.
    if (held.size > 0) await releasePlans(sql, holder).catch(() => {});
  })();

  return {
    async [Symbol.asyncDispose]() {
      end.abort();
      await running;
    },
  };
}
