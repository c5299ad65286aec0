import { isLegacyOperation, type LegacyOperation } from "../exchange/operations.ts";
import { parseSteps, PLAN_ORDER, type PlanOptions, type Remedy } from "../rollout/plan.ts";
import { describePlan, runPlan } from "../rollout/run_plan.ts";
import { RefusedError, type Typed, UsageError } from "../../command_line.ts";
import { type Command, NOTE_OPTIONS, noteIn, operationNamed, wholeNumber } from "./command.ts";

const MINUTE_MS = 60_000;
const MAX_MINUTES = 100_000;

export const plan: Command = {
  usage: "OPERATION|all [--steps shadow,1,10,50,100] [--soak MINUTES] [--samples N] " +
    "[--patience MINUTES] [--dry] [--why TEXT] [--who NAME]",
  does:
    "moves a route to Lotline step by step. A step takes 30 minutes and 500 samples unless given, " +
    "and needs the verdict pass. The plan stops at the verdict fail, at a change by someone else, " +
    "or when a step is 240 minutes late",
  words: [1, 1],
  options: {
    ...NOTE_OPTIONS,
    steps: { type: "string" },
    soak: { type: "string" },
    samples: { type: "string" },
    patience: { type: "string" },
    dry: { type: "boolean" },
  },
  isLong: true,
  async run({ sql, print, signal }, typed) {
    const operations = operationsNamed(typed.words[0]);
    const options = optionsOf(typed);
    if (typed.options.dry === true) {
      const lines = await describePlan(sql, operations, options);
      return { text: lines.join("\n"), json: lines };
    }
    const note = noteIn({ ...typed, options: { why: "a step of a plan", ...typed.options } });
    const ended = await runPlan({ sql, print, signal, note }, operations, options);
    if (ended.end === "done") {
      return { text: `Done: ${operations.join(", ")}`, json: { moved: operations } };
    }
    throw new RefusedError(
      `The plan has stopped at ${ended.operation}: ${ended.why}. Routes stay where they are. ` +
        howToGoOn(ended.operation, ended.first),
    );
  },
};

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
  };
}

function minutesIn(what: string, text: unknown): number {
  const minutes = /^\d{1,6}(\.\d{1,3})?$/.test(String(text)) ? Number(text) : NaN;
  if (minutes <= MAX_MINUTES) return minutes;
  throw new UsageError(`${what} is a number of minutes from 0 to ${MAX_MINUTES}`);
}
