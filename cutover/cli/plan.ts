import { isLegacyOperation, type LegacyOperation } from "../exchange/operations.ts";
import { parseSteps, PLAN_ORDER, type PlanOptions, type Remedy } from "../rollout/plan.ts";
import { describePlan, runPlan } from "../rollout/run_plan.ts";
import { RefusedError, type Typed, UsageError } from "../../command_line.ts";
import { type Command, operationNamed, wholeNumber } from "./command.ts";
import { NOTE_OPTIONS, noteIn } from "./note_options.ts";

const MINUTE_MS = 60_000;
const MAX_MINUTES = 100_000;

/** `deno task cutover plan` */
export const plan: Command = {
  usage: "OPERATION|all [--steps shadow,1,10,50,100] [--soak MINUTES] [--samples N] " +
    "[--patience MINUTES] [--dry] [--why TEXT] [--who NAME]",
  does: "moves a route to Lotline step by step, each after 30 minutes and 500 samples with the " +
    "verdict pass unless said; stops at anything else, at the latest after 240 minutes of patience",
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
  async run({ sql, print: tell, signal }, typed) {
    const operations = operationsNamed(typed.words[0]);
    const options = optionsOf(typed);
    if (typed.options.dry === true) {
      const lines: string[] = [];
      await describePlan({ sql, print: (line) => lines.push(line) }, operations, options);
      return { text: lines.join("\n"), json: lines };
    }
    const note = noteIn({ ...typed, options: { why: "a step of a plan", ...typed.options } });
    const ended = await runPlan({ sql, print: tell, signal, note }, operations, options);
    if (ended.end === "done") {
      return { text: `Done: ${operations.join(", ")}`, json: { moved: operations } };
    }
    throw new RefusedError(
      `The plan has stopped at ${ended.operation}: ${ended.why}. Routes stay where they are; ` +
        `${whatNext(ended.operation, ended.first)}.`,
    );
  },
};

function whatNext(operation: LegacyOperation, first: Remedy | undefined): string {
  const goesOn = "the same command goes on from there";
  if (first === undefined) return goesOn;
  const words = first === "clear" ? `clear ${operation}` : first;
  return `after deno task cutover ${words} --why TEXT ${goesOn}`;
}

function operationsNamed(name: string | undefined): readonly LegacyOperation[] {
  if (name === "all") return PLAN_ORDER;
  const operation = operationNamed(name);
  if (isLegacyOperation(operation)) return [operation];
  throw new RefusedError(
    `${operation} is not in the old API: there is nothing to compare, and it is on service unless ` +
      "somebody has put it on legacy",
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
