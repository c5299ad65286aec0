import { NO_CANARY, stepGap } from "../routes/moved_share.ts";
import {
  isSafeOperation,
  LEGACY_OPERATIONS,
  type LegacyOperation,
} from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { describeMode, modeOf } from "../routes/routing.ts";
import { isCompared } from "./verdict.ts";
import type { RouteVerdict } from "./verdicts.ts";

/** How a route is to be moved to Lotline. */
export interface PlanOptions {
  /** The modes on the way, each with a greater share for Lotline than the one before. */
  readonly steps: readonly Mode[];
  /** Each of them lasts at least so long, in ms. */
  readonly soakMs: number;
  /** Each of them has at least so much evidence. */
  readonly samples: number;
  /** A verdict is waited for so long after that, in ms. */
  readonly patienceMs: number;
}

/** Where a plan is. */
export interface Standing {
  readonly killed: boolean;
  readonly now: RouteVerdict;
  /** The epoch that the plan itself has seen or brought about last. */
  readonly expectedEpoch: number;
  /** How long the plan has been looking at this epoch, in ms. */
  readonly waitedMs: number;
}

/** The command of `deno task cutover` without which a plan would stop again at once. */
export type Remedy = "clear" | "release";

/** What a plan does next. */
export type NextStep =
  /** `leftOut`: canaries before it that would move nobody, or far too many. */
  | { readonly do: "move"; readonly to: Mode; readonly leftOut?: readonly string[] }
  | { readonly do: "wait"; readonly why: string }
  | { readonly do: "stop"; readonly why: string; readonly first?: Remedy }
  | { readonly do: "done" };

/** What a plan with these options does next. */
export function nextStep(standing: Standing, options: PlanOptions): NextStep {
  const { killed, now, expectedEpoch, waitedMs } = standing;
  const { route, judgement, counts } = now;
  if (killed) return { do: "stop", why: "the kill switch is on", first: "release" };
  if (route.latch !== undefined) {
    return { do: "stop", why: `it was rolled back: ${route.latch}`, first: "clear" };
  }
  if (route.epoch !== expectedEpoch) {
    return { do: "stop", why: `somebody else has put it on ${describeMode(route.mode)}` };
  }
  if (judgement.verdict === "fail") return { do: "stop", why: judgement.reasons.join("; ") };

  const { to, leftOut } = stepAhead(now, options.steps);
  if (route.mode.name === "legacy") {
    return to === undefined ? { do: "stop", why: "there is no step" } : { do: "move", to };
  }
  const lacks: string[] = [];
  const soakedMs = (counts.seconds ?? 0) * 1_000;
  if (soakedMs < options.soakMs) {
    lacks.push(`${minutes(soakedMs)} of ${minutes(options.soakMs)} minutes`);
  }
  const samples = samplesOf(now);
  if (samples < options.samples) lacks.push(`${samples} of ${options.samples} samples`);
  if (judgement.verdict !== "pass") lacks.push(...judgement.reasons);
  if (to === undefined && leftOut.length > 0) {
    lacks.push(`${leftOut.join("; ")}: no step on the way to Lotline would be one. ${NO_CANARY}`);
  }
  if (lacks.length === 0) {
    if (to === undefined) return { do: "done" };
    return { do: "move", to, ...leftOut.length > 0 && { leftOut } };
  }
  const why = lacks.join("; ");
  return waitedMs > options.soakMs + options.patienceMs
    ? { do: "stop", why: `not enough yet, after ${minutes(waitedMs)} minutes: ${why}` }
    : { do: "wait", why };
}

/**
 * The next step that would be one. A canary that the clients seen so far would make no step is left
 * out for a greater one, and never for all of the traffic: that would be a leap.
 */
function stepAhead(
  { route, clientsBelow, shareFactor }: RouteVerdict,
  steps: readonly Mode[],
): { readonly to: Mode | undefined; readonly leftOut: readonly string[] } {
  const leftOut: string[] = [];
  for (const to of steps.filter((step) => shareOf(step) > shareOf(route.mode))) {
    const gap = stepGap(to, clientsBelow, shareFactor ?? Infinity);
    if (gap !== undefined) leftOut.push(gap);
    else if (to.name === "canary" || leftOut.length === 0) return { to, leftOut };
  }
  return { to: undefined, leftOut };
}

/** What a route's epoch has brought: confirmed comparisons, or Lotline's answers where none are made. */
export function samplesOf({ operation, route, counts }: RouteVerdict): number {
  if (!isCompared({ operation, mode: route.mode })) return counts.requests.service ?? 0;
  return (counts.outcomes.same ?? 0) + (counts.outcomes.approved ?? 0);
}

/** Reads steps such as `shadow,1,10,50,100`; nothing: they aren't, or don't go upwards. */
export function parseSteps(text: string): readonly Mode[] | undefined {
  const steps: Mode[] = [];
  for (const word of text.split(",").map((part) => part.trim())) {
    const step = word === "100"
      ? modeOf("service", undefined)
      : /^\d{1,2}$/.test(word)
      ? modeOf("canary", Number(word))
      : word === "shadow"
      ? modeOf("shadow", undefined)
      : undefined;
    const last = steps.at(-1);
    if (step === undefined || (last !== undefined && shareOf(step) <= shareOf(last))) {
      return undefined;
    }
    steps.push(step);
  }
  return steps;
}

/** The order in which a plan for all operations goes: those that change nothing come first. */
export const PLAN_ORDER: readonly LegacyOperation[] = LEGACY_OPERATIONS.toSorted(
  (one, other) => riskOf(one) - riskOf(other),
);

function riskOf(operation: LegacyOperation): number {
  if (!isSafeOperation(operation)) return 2;
  // A client that has logged in at Lotline sends its token from then on.
  return operation === "login" ? 1 : 0;
}

/** Lotline's share in %; less than none where it isn't even asked. */
function shareOf(mode: Mode): number {
  return { legacy: -1, shadow: 0, canary: mode.name === "canary" ? mode.percent : 0, service: 100 }[
    mode.name
  ];
}

const minutes = (ms: number) => Number((ms / 60_000).toFixed(1));
