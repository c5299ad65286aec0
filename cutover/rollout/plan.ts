import { NO_CANARY, stepGap } from "../routes/moved_share.ts";
import {
  isSafeOperation,
  LEGACY_OPERATIONS,
  type LegacyOperation,
} from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { describeMode, modeOf } from "../routes/routing.ts";
import { confirmedOf, isCompared } from "./verdict.ts";
import type { RouteVerdict } from "./verdicts.ts";
import { describeHindrance } from "./why_nothing_counts.ts";

/** How a route is to be moved to Lotline. */
export interface PlanOptions {
  /** The modes on the way; Lotline's share grows with each. */
  readonly steps: readonly Mode[];
  /** The least duration of each step, in ms. */
  readonly soakMs: number;
  /** The least number of samples of each step. */
  readonly samples: number;
  /** How long a step may take beyond its least duration, in ms. */
  readonly patienceMs: number;
  /** It may leave `legacy` for a mode in which Lotline responds, without any comparison. */
  readonly force?: boolean;
}

export interface Standing {
  readonly killed: boolean;
  readonly now: RouteVerdict;
  /** The epoch that the plan has found or made last. */
  readonly expectedEpoch: number;
  /** How long the plan has been in this epoch, in ms. */
  readonly waitedMs: number;
}

/** The command of `deno task cutover` that has to come before the plan goes on. */
export type Remedy = "clear" | "release";

export type NextStep =
  /** `leftOut`: canaries before it whose share would be far from their step. */
  | { readonly do: "move"; readonly to: Mode; readonly leftOut?: readonly string[] }
  | { readonly do: "wait"; readonly why: string }
  | { readonly do: "stop"; readonly why: string; readonly first?: Remedy }
  | { readonly do: "done" };

export function nextStep(standing: Standing, options: PlanOptions): NextStep {
  const { killed, now, expectedEpoch, waitedMs } = standing;
  const { route, judgement, counts } = now;
  if (killed) return { do: "stop", why: "the kill switch is on", first: "release" };
  if (route.latch !== undefined) {
    return { do: "stop", why: `it was rolled back: ${route.latch}`, first: "clear" };
  }
  if (route.epoch !== expectedEpoch) {
    return { do: "stop", why: `someone else has set it to ${describeMode(route.mode)}` };
  }
  if (judgement.verdict === "fail") return { do: "stop", why: judgement.reasons.join("; ") };

  const { to, leftOut } = stepAhead(now, options.steps);
  if (route.mode.name === "legacy") {
    if (to === undefined) return { do: "stop", why: "the plan has no step for it" };
    return shareOf(to) > 0 && options.force !== true
      ? {
        do: "stop",
        why: `it is on legacy, and its first step is ${describeMode(to)}: ${UNTRIED}`,
      }
      : { do: "move", to };
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
    lacks.push(`${leftOut.join("; ")}: no canary on the way to Lotline is possible. ${NO_CANARY}`);
  }
  if (lacks.length === 0) {
    if (to === undefined) return { do: "done" };
    return { do: "move", to, ...leftOut.length > 0 && { leftOut } };
  }
  const why = [...lacks, ...(now.hindrances ?? []).map(describeHindrance)].join("; ");
  return waitedMs > options.soakMs + options.patienceMs
    ? { do: "stop", why: `inconclusive after ${minutes(waitedMs)} minutes: ${why}` }
    : { do: "wait", why };
}

/**
 * The next step that is possible with the clients seen so far. A canary that isn't is left out for a
 * greater canary, never for all of the traffic at once.
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

/** Comparisons without an unapproved difference; without comparisons, Lotline's responses. */
export function samplesOf({ operation, route, counts }: RouteVerdict): number {
  if (!isCompared({ operation, mode: route.mode })) return counts.requests.service ?? 0;
  return confirmedOf(counts);
}

const UNTRIED =
  "without shadow nothing is compared before Lotline responds to clients. Begin with " +
  "shadow, or add --force";

const ENDS: ReadonlyMap<string, Mode> = new Map([
  ["shadow", { name: "shadow" }],
  ["100", { name: "service" }],
]);

/** Reads steps such as `shadow,1,10,50,100`; undefined unless each is greater than the one before. */
export function parseSteps(text: string): readonly Mode[] | undefined {
  const steps: Mode[] = [];
  for (const word of text.split(",").map((part) => part.trim())) {
    const share = /^\d{1,2}$/.test(word) ? Number(word) : undefined;
    const step = share === undefined ? ENDS.get(word) : modeOf("canary", share);
    const last = steps.at(-1);
    if (step === undefined || (last !== undefined && shareOf(step) <= shareOf(last))) {
      return undefined;
    }
    steps.push(step);
  }
  return steps;
}

/** The same steps as text. */
export function stepsText(steps: readonly Mode[]): string {
  return steps.map((step) => step.name === "shadow" ? "shadow" : String(shareOf(step))).join(",");
}

/** The order of a plan for all operations: those that change nothing come first. */
export const PLAN_ORDER: readonly LegacyOperation[] = LEGACY_OPERATIONS.toSorted(
  (one, other) => riskOf(one) - riskOf(other),
);

function riskOf(operation: LegacyOperation): number {
  if (!isSafeOperation(operation)) return 2;
  // After a login at Lotline, a client sends Lotline's token with every request.
  return operation === "login" ? 1 : 0;
}

/** Lotline's share of the clients in %; below zero where it receives no request at all. */
export function shareOf(mode: Mode): number {
  return { legacy: -1, shadow: 0, canary: mode.name === "canary" ? mode.percent : 0, service: 100 }[
    mode.name
  ];
}

const minutes = (ms: number) => Number((ms / 60_000).toFixed(1));
