import { type CoverageCounts, coverageOf, describeCauses } from "../evidence/coverage.ts";
import type { Outcome } from "../evidence/coverage.ts";
import { addHistogram, countSlower, type Histogram, quantileOf } from "../evidence/histogram.ts";
import type { Thresholds } from "./thresholds.ts";
import { type MovedShare, shareGap } from "../routes/moved_share.ts";
import { isSafeOperation, type LegacyOperation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";

/** What one side did with the requests of a window. */
export interface UpstreamFigures {
  readonly requests: number;
  /** Answers with status 500 or above. */
  readonly serverErrors: number;
  readonly silences: number;
  /** Of all answers. */
  readonly latencies: Histogram;
}

/** What is known of a route in its present epoch. */
export interface RouteEvidence {
  readonly operation: LegacyOperation;
  readonly mode: Mode;
  readonly epoch: number;
  readonly legacy: UpstreamFigures;
  readonly service: UpstreamFigures;
  /** The old server's before this epoch: for a route that doesn't ask it any more. */
  readonly legacyBefore: UpstreamFigures;
  /** What became of clients' requests in the window, and of how many clients they were. */
  readonly share: MovedShare;
  /** What became of the comparisons of the window. */
  readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
  /** How far they cover the window's exchanges. */
  readonly coverage: CoverageCounts;
  /** Unapproved differences of the whole epoch. */
  readonly different: number;
  /** Where the last of them was, if it was kept. */
  readonly places: readonly string[];
}

/** `not enough yet`: nothing speaks against the route, and too little for it. */
export type Verdict = "pass" | "fail" | "not enough yet";

/** A verdict and what it rests on, in sentences; a `pass` needs none. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
}

/** Nothing at all. */
export const NO_FIGURES: UpstreamFigures = {
  requests: 0,
  serverErrors: 0,
  silences: 0,
  latencies: {},
};

/** So few failed or slow requests may be an accident, whatever share they are. */
const MIN_ERRORS = 2;
const MIN_SLOW = 5;
const MAX_PLACES = 5;

/**
 * Judges a route. One unapproved difference is enough to fail it. Shares are held against at least
 * `min_samples` requests: a route fails as soon as it would fail even if all that are missing went
 * well, and passes only when none are missing.
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
  return { verdict: gaps.length === 0 ? "pass" : "not enough yet", reasons: gaps };
}

/** How often a comparison has found that both sides say the same, or differ as was approved. */
export function confirmedOf({ outcomes }: Pick<RouteEvidence, "outcomes">): number {
  return (outcomes.same ?? 0) + (outcomes.approved ?? 0);
}

/** Whether requests of a route are compared: in `service`, a write goes to Lotline alone. */
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
  return `${stale} of ${counted(compared, "comparison")} found Lotline behind by a moment, more ` +
    `than ${thresholds.late_percent} %`;
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
    `(${service.serverErrors} with 5xx, ${service.silences} without an answer), ` +
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
  // A cold start makes a handful of slow answers, which are the p99 of a few hundred.
  if (ms === undefined || ms <= limitMs || slow < MIN_SLOW) return undefined;
  return `Lotline's p99 is ${shown(ms)} ms, the old server's ${shown(legacyMs)} ms: more than ` +
    `${shown(limitMs)} ms is too much`;
}

function gapsOf(evidence: RouteEvidence, thresholds: Thresholds): string[] {
  const { mode, service, outcomes } = evidence;
  if (mode.name === "legacy") return ["the old server answers alone"];
  const gaps: string[] = [];
  const need = (count: number, what: string) => {
    if (count < thresholds.min_samples) gaps.push(`${count} of ${thresholds.min_samples} ${what}`);
  };
  need(service.requests, "answers of Lotline");
  need(legacyFigures(evidence, thresholds.min_samples).requests, "answers of the old server");
  const gap = shareGap(mode, evidence.share, thresholds.share_factor);
  if (gap !== undefined) gaps.push(gap);
  if (!isCompared(evidence)) return gaps;
  const confirmed = confirmedOf(evidence);
  need(confirmed, "comparisons that found nothing");
  const unanswered = outcomes.unanswered ?? 0;
  const share = shareOf(unanswered, confirmed + unanswered);
  if (share > thresholds.silence_percent) {
    gaps.push(`${unanswered} of ${counted(confirmed + unanswered, "comparison")} got no answer`);
  }
  return [...gaps, ...lostGaps(evidence, thresholds), ...weaknesses(evidence, thresholds)];
}

/**
 * What speaks against trusting comparisons because too many of them were lost: one sentence at most.
 * Only what was compared is known, so a share above the limit is no pass, and no failure either.
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

/** Why comparisons that found nothing may say little: explained by changes, or of errors alone. */
function weaknesses({ outcomes, coverage }: RouteEvidence, thresholds: Thresholds): string[] {
  const weak: string[] = [];
  const { raced: concurrentChange = 0, late: stale = 0, different = 0 } = outcomes;
  const compared = confirmedOf({ outcomes }) + concurrentChange + stale + different;
  if (shareOf(concurrentChange, compared) > thresholds.raced_percent) {
    weak.push(
      `${concurrentChange} of ${
        counted(compared, "comparison")
      } differed and were explained by changes of ` +
        `the data, more than ${thresholds.raced_percent} %`,
    );
  }
  // Evidence from before this was counted is judged as it was then.
  if (Object.keys(coverage).length === 0) return weak;
  const { successes } = coverageOf({ outcomes, coverage });
  const min = Math.min(thresholds.min_successes, thresholds.min_samples);
  if (successes < min) weak.push(`${successes} of ${min} comparisons of answers with 2xx`);
  return weak;
}

/** The old server's figures: the window's if they are as many as `min`, else with those before. */
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
