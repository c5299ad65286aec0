import type { Sql } from "../../db/sql.ts";
import { delay } from "../../timing.ts";
import { isLegacyOperation, type LegacyOperation } from "../exchange/operations.ts";
import { parseSteps, PLAN_ORDER, type PlanOptions, type Remedy, shareOf } from "../rollout/plan.ts";
import { findPlan, insertPlan, stopPlans } from "../rollout/plans_table.ts";
import { describePlan, runPlan } from "../rollout/run_plan.ts";
import { describeSchedule, scheduleOf } from "../rollout/schedule.ts";
import { readVerdicts } from "../rollout/verdicts.ts";
import { describeMode, type Note } from "../routes/routing.ts";
import { RefusedError, type Typed, UsageError } from "../../command_line.ts";
import {
  changeCommand,
  type Command,
  NOTE_OPTIONS,
  noteIn,
  operationNamed,
  type Output,
  wholeNumber,
} from "./command.ts";
import { FORCE_OPTION, requireConsent } from "./consent.ts";

const MINUTE_MS = 60_000;
const MAX_MINUTES = 100_000;
/** How long a gateway may take to begin, in ms. */
const TAKEN_MS = 5_000;

export const plan: Command = {
  usage: "OPERATION|all [--detach] [--steps shadow,1,10,50,100] [--soak MINUTES] [--samples N] " +
    "[--patience MINUTES] [--dry] [--force] [--why TEXT] [--who NAME]",
  does:
    "moves a route to Lotline step by step. A step takes 30 minutes and 500 samples unless given, " +
    "and needs the verdict pass. The plan stops at the verdict fail, at a change by someone else, " +
    "or when a step is 240 minutes late. With --detach a gateway carries it out, and this terminal " +
    "may close",
  words: [1, 1],
  options: {
    ...NOTE_OPTIONS,
    ...FORCE_OPTION,
    steps: { type: "string" },
    soak: { type: "string" },
    samples: { type: "string" },
    patience: { type: "string" },
    dry: { type: "boolean" },
    detach: { type: "boolean" },
  },
  isLong: true,
  async run(deps, typed) {
    const { sql, print, signal } = deps;
    const operations = operationsNamed(typed.words[0]);
    const options = optionsOf(typed);
    if (typed.options.dry === true) {
      const lines = await describePlan(sql, operations, options);
      return { text: lines.join("\n"), json: lines };
    }
    const note = noteIn({ ...typed, options: { why: "a step of a plan", ...typed.options } });
    const { verdicts } = await readVerdicts(sql);
    const states = operations.flatMap((operation) =>
      verdicts.filter((one) => one.operation === operation)
    );
    const first = options.steps[0];
    const risks = first === undefined || shareOf(first) <= 0
      ? []
      : states.filter(({ route }) => route.mode.name === "legacy").map(({ operation }) =>
        `${operation} is on legacy, and the plan's first step is ${describeMode(first)}: nothing ` +
        "is compared before Lotline responds to clients."
      );
    if (options.force !== true) requireConsent(deps, risks, "Start it anyway?");
    const accepted = { ...options, force: options.force === true || risks.length > 0 };
    const schedule = scheduleOf(states, options, new Date());
    for (const line of describeSchedule(schedule, options)) print(line);
    if (typed.options.detach === true) return await detach(sql, operations, accepted, note);
    const ended = await runPlan({ sql, print, signal, note }, operations, accepted);
    if (ended.end === "done") {
      return { text: `Done: ${operations.join(", ")}`, json: { moved: operations } };
    }
    throw new RefusedError(
      `The plan has stopped at ${ended.operation}: ${ended.why}. Routes stay where they are. ` +
        howToGoOn(ended.operation, ended.first),
    );
  },
};

export const stopPlan = changeCommand({
  usage: "OPERATION|all --stop",
  does: "stops the plan that moves a route, also a detached one; the routes stay where they are",
  words: [1, 1],
  options: { stop: { type: "boolean" } },
  async run({ sql, note }, typed) {
    const stopped = await stopPlans(sql, operationsNamed(typed.words[0]), note);
    if (stopped.length === 0) throw new RefusedError(`No plan moves ${typed.words[0]}`);
    return {
      text: stopped.map(({ id, operations }) =>
        `Plan ${id} (${operations.join(", ")}) has stopped. Its routes stay where they are.`
      ).join("\n"),
      json: { stopped: stopped.map(({ id }) => id) },
    };
  },
});

/** Leaves a plan to the gateways. */
async function detach(
  sql: Sql,
  operations: readonly LegacyOperation[],
  options: PlanOptions,
  note: Note,
): Promise<Output> {
  const id = await insertPlan(sql, { operations, options, note });
  const until = performance.now() + TAKEN_MS;
  const isTaken = async () => (await findPlan(sql, id))?.progress !== null;
  let taken = await isTaken();
  while (!taken && performance.now() < until) {
    await delay(200);
    taken = await isTaken();
  }
  const [name] = operations.length === 1 ? operations : ["all"];
  const where = taken
    ? `Plan ${id} runs in the background: a gateway carries it out.`
    : `Plan ${id} waits for a gateway: none has begun it in ${TAKEN_MS / 1_000} seconds. Check ` +
      "that one of this version runs, and its log.";
  return {
    text: `${where} deno task cutover status shows it, and deno task cutover plan ${name} --stop ` +
      "--why TEXT stops it.",
    json: { plan: id, taken },
  };
}

function howToGoOn(operation: LegacyOperation, first: Remedy | undefined): string {
  if (first === undefined) return "To go on, run the same command again.";
  const words = first === "clear" ? `clear ${operation}` : first;
  return `To go on, run deno task cutover ${words} --why TEXT, then the same command again.`;
}

function operationsNamed(name: string | undefined): readonly LegacyOperation[] {
  if (name === "all") return PLAN_ORDER;
  const operation = operationNamed(name);
  if (isLegacyOperation(operation)) return [operation];
  throw new RefusedError(
    `${operation} is not in the old API: there is nothing to compare. It is on service unless a person has ` +
      "put it on legacy",
  );
}

function optionsOf({ options }: Typed): PlanOptions {
  const { steps = "shadow,1,10,50,100", soak = "30", samples = "500", patience = "240" } = options;
  const modes = parseSteps(String(steps));
  if (modes === undefined) {
    throw new UsageError("--steps are shadow and shares that grow, such as shadow,1,10,50,100");
  }
  return {
    steps: modes,
    soakMs: minutesIn("--soak", soak) * MINUTE_MS,
    samples: wholeNumber("--samples", samples, [1, 999_999_999]),
    patienceMs: minutesIn("--patience", patience) * MINUTE_MS,
    force: options.force === true,
  };
}

function minutesIn(what: string, text: unknown): number {
  const minutes = /^\d{1,6}(\.\d{1,3})?$/.test(String(text)) ? Number(text) : NaN;
  if (minutes <= MAX_MINUTES) return minutes;
  throw new UsageError(`${what} is a number of minutes from 0 to ${MAX_MINUTES}`);
}
