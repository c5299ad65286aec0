import { z } from "zod";
import {
  coverageOf,
  describeCauses,
  type OutcomeCounts,
  OutcomeCountsForm,
} from "../evidence/coverage.ts";
import { addHistogram, countSlower, quantileOf } from "../evidence/histogram.ts";
import type { Thresholds } from "./thresholds.ts";
import { ShareForm, shareGap } from "../routes/moved_share.ts";
import { isSafeOperation, LEGACY_OPERATIONS } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";

/** The requests of a window that one upstream received. */
export const FiguresForm = z.object({
  requests: z.number(),
  /** Responses with status 500 or above. */
  serverErrors: z.number(),
  /** Requests without a response. */
  silences: z.number(),
  /** Of all responses. */
  latencies: z.record(z.string(), z.number()),
});

export type UpstreamFigures = Readonly<z.output<typeof FiguresForm>>;

/** The evidence about a route in its present epoch, besides its mode. */
export const EvidenceForm = z.object({
  operation: z.enum(LEGACY_OPERATIONS),
  epoch: z.int(),
  legacy: FiguresForm,
  service: FiguresForm,
  /** The old server's before this epoch, for a route that no longer goes there. */
  legacyBefore: FiguresForm,
  /** Requests and clients of the window, and how many of them Lotline served. */
  share: ShareForm,
  /** The comparisons of the window. */
  outcomes: OutcomeCountsForm,
  /** How far they cover the window's exchanges. */
  coverage: z.record(z.string(), z.number()),
  /** Unapproved differences of the whole epoch. */
  different: z.number(),
  /** The places of the last of them, if it was kept. */
  places: z.array(z.string()),
});

export type RouteEvidence = Readonly<z.output<typeof EvidenceForm>> & { readonly mode: Mode };

/** `inconclusive`: nothing against the route, and too little for it. */
export type Verdict = "pass" | "fail" | "inconclusive";

/** A verdict with its reasons in sentences; a `pass` has none. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
}

export const NO_FIGURES: UpstreamFigures = {
  requests: 0,
  serverErrors: 0,
  silences: 0,
  latencies: {},
};

/** Fewer failed or slow requests may be chance, whatever their share. */
const MIN_ERRORS = 2;
const MIN_SLOW = 5;
const MAX_PLACES = 5;

/** Why a route on `legacy` has no verdict. */
export const NO_EVIDENCE = "all requests go to the old server";

/**
 * Judges a route. One unapproved difference fails it. Shares are of at least `min_samples` requests:
 * a route fails as soon as good results of all missing requests could not save it, and passes only
 * when none are missing.
 */
export function judge(evidence: RouteEvidence, thresholds: Thresholds): Judgement {
  const failures = [
    differenceFailure(evidence),
    staleFailure(evidence, thresholds),
    errorFailure(evidence, thresholds),
    latencyFailure(evidence, thresholds),
  ].filter((failure) => failure !== undefined);
  if (failures.length > 0) return { verdict: "fail", reasons: failures };
  const gaps = gapsOf(evidence, thresholds);
  return { verdict: gaps.length === 0 ? "pass" : "inconclusive", reasons: gaps };
}

export function confirmedOf({ outcomes }: { readonly outcomes: OutcomeCounts }): number {
  return (outcomes.same ?? 0) + (outcomes.approved ?? 0);
}

/** Whether requests of a route are compared: in `service`, a write goes only to Lotline. */
export function isCompared({ operation, mode }: Pick<RouteEvidence, "operation" | "mode">) {
  return mode.name !== "legacy" && (mode.name !== "service" || isSafeOperation(operation));
}

function differenceFailure({ different, places }: RouteEvidence): string | undefined {
  if (different === 0) return undefined;
  const named = places.slice(0, MAX_PLACES).join(", ") +
    (places.length > MAX_PLACES ? ", …" : "");
  const where = places.length === 0 ? "" : `, the last at ${named}`;
  return `${counted(different, "unapproved difference")}${where}`;
}

function staleFailure({ outcomes }: RouteEvidence, thresholds: Thresholds): string | undefined {
  const stale = outcomes.late ?? 0;
  const compared = confirmedOf({ outcomes }) + (outcomes.raced ?? 0) + stale;
  const share = shareOf(stale, Math.max(compared, thresholds.min_samples));
  if (share <= thresholds.late_percent) return undefined;
  return `${stale} of ${counted(compared, "comparison")} were late (Lotline's data were a moment ` +
    `old), more than ${thresholds.late_percent} %`;
}

function errorFailure(evidence: RouteEvidence, thresholds: Thresholds): string | undefined {
  const { service } = evidence;
  const failed = failedOf(service);
  const old = legacyFigures(evidence, Math.min(service.requests, thresholds.min_samples));
  const legacyShare = shareOf(failedOf(old), old.requests);
  const share = shareOf(failed, Math.max(service.requests, thresholds.min_samples));
  if (failed < MIN_ERRORS || share <= legacyShare + thresholds.error_margin_percent) {
    return undefined;
  }
  return `${failed} of ${counted(service.requests, "request")} failed at Lotline ` +
    `(${service.serverErrors} with 5xx, ${service.silences} without a response), ` +
    `${shown(legacyShare)} % at the old server`;
}

function latencyFailure(evidence: RouteEvidence, thresholds: Thresholds): string | undefined {
  const { service } = evidence;
  const old = legacyFigures(evidence, thresholds.min_samples);
  if (service.requests < thresholds.min_samples || old.requests < thresholds.min_samples) {
    return undefined;
  }
  const legacyMs = quantileOf(old.latencies, 0.99);
  if (legacyMs === undefined) return undefined;
  const limitMs = legacyMs * thresholds.latency_factor + thresholds.latency_slack_ms;
  const slow = countSlower(service.latencies, limitMs);
  const ms = quantileOf(service.latencies, 0.99);
  // A cold start makes a few slow responses, which are the p99 of a few hundred.
  if (ms === undefined || ms <= limitMs || slow < MIN_SLOW) return undefined;
  return `Lotline's p99 is ${shown(ms)} ms, the old server's ${shown(legacyMs)} ms: the limit is ` +
    `${shown(limitMs)} ms`;
}

function gapsOf(evidence: RouteEvidence, thresholds: Thresholds): string[] {
  const { mode, service, outcomes, coverage } = evidence;
  if (mode.name === "legacy") return [NO_EVIDENCE];
  const gaps: string[] = [];
  const need = (count: number, what: string) => {
    if (count < thresholds.min_samples) gaps.push(`${count} of ${thresholds.min_samples} ${what}`);
  };
  need(service.requests, "responses of Lotline");
  need(legacyFigures(evidence, thresholds.min_samples).requests, "responses of the old server");
  const gap = shareGap(mode, evidence.share, thresholds.share_factor);
  if (gap !== undefined) gaps.push(gap);
  if (!isCompared(evidence)) return gaps;
  const confirmed = confirmedOf(evidence);
  need(confirmed, "comparisons without a difference");
  const holes = holesOf(evidence, thresholds);
  // Evidence that is older than these counts is judged without them.
  if (Object.keys(coverage).length === 0) return [...gaps, ...holes];
  const { successes } = coverageOf({ outcomes, coverage });
  const min = Math.min(thresholds.min_successes, thresholds.min_samples);
  return [
    ...gaps,
    ...holes,
    ...successes < min ? [`${successes} of ${min} comparisons of 2xx responses`] : [],
  ];
}

/** Why the comparisons show too little, however many there are. */
export function holesOf(
  evidence: Pick<RouteEvidence, "outcomes" | "coverage">,
  thresholds: Thresholds,
): string[] {
  const { outcomes } = evidence;
  const confirmed = confirmedOf(evidence);
  const holes: string[] = [];
  const { unanswered = 0, raced: concurrentChange = 0, late: stale = 0, different = 0 } = outcomes;
  if (shareOf(unanswered, confirmed + unanswered) > thresholds.silence_percent) {
    holes.push(`${unanswered} of ${counted(confirmed + unanswered, "comparison")} had no response`);
  }
  holes.push(...lostGaps(evidence, thresholds));
  const compared = confirmed + concurrentChange + stale + different;
  if (shareOf(concurrentChange, compared) > thresholds.raced_percent) {
    holes.push(
      `${concurrentChange} of ${
        counted(compared, "comparison")
      } differed because the data changed, more than ${thresholds.raced_percent} %`,
    );
  }
  return holes;
}

/**
 * The sentence that too many comparisons were lost, if so. Nothing is known about a lost comparison,
 * so a share above the limit prevents a pass and is no failure.
 */
export function lostGaps(
  evidence: Pick<RouteEvidence, "outcomes" | "coverage">,
  thresholds: Pick<Thresholds, "lost_percent">,
): string[] {
  const { lost, due, lostPercent, lostBy } = coverageOf(evidence);
  if (lostPercent <= thresholds.lost_percent) return [];
  return [
    `${lost} of ${counted(due, "comparison")} were lost (${describeCauses(lostBy)}), more than ` +
    `${thresholds.lost_percent} %`,
  ];
}

/** The old server's figures: of the window; with fewer than `min` requests, also of the time before. */
function legacyFigures({ legacy, legacyBefore }: RouteEvidence, min: number): UpstreamFigures {
  if (legacy.requests >= min) return legacy;
  return {
    requests: legacy.requests + legacyBefore.requests,
    serverErrors: legacy.serverErrors + legacyBefore.serverErrors,
    silences: legacy.silences + legacyBefore.silences,
    latencies: addHistogram(legacy.latencies, legacyBefore.latencies),
  };
}

const failedOf = ({ serverErrors, silences }: UpstreamFigures) => serverErrors + silences;
const shareOf = (part: number, whole: number) => whole === 0 ? 0 : part / whole * 100;
const shown = (value: number) => Number(value.toPrecision(3));
const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
