import { coverageOf, type OutcomeCounts } from "../evidence/coverage.ts";
import { addHistogram } from "../evidence/histogram.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import type { Mode, Upstream } from "../exchange/route.ts";
import { type MovedShare, NO_SHARE } from "../routes/moved_share.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import {
  confirmedOf,
  holesOf,
  isCompared,
  judge,
  NO_FIGURES,
  type UpstreamFigures,
  type Verdict,
} from "../rollout/verdict.ts";
import { type Hindrance, whyNothingCounts } from "../rollout/why_nothing_counts.ts";
import { comparedOf } from "./compared.ts";
import type { Span } from "./spans.ts";

/** The evidence of one epoch under one set of limits. */
export interface Part {
  readonly epoch: number;
  readonly limits: number;
  readonly figures: Readonly<Partial<Record<Upstream, UpstreamFigures>>>;
  readonly outcomes: OutcomeCounts;
  readonly coverage: Readonly<Record<string, number>>;
  /** The minutes of the first and the last evidence. */
  readonly first: string;
  readonly last: string;
}

/** A time in one mode under one set of limits, and what these limits say of its evidence. */
export interface JudgedPeriod {
  readonly from: string;
  readonly until: string;
  readonly mode: Mode;
  readonly epoch: number;
  /** The limits' id. */
  readonly limits: number;
  readonly requests: Readonly<Record<Upstream, number>>;
  readonly compared: number;
  /** Comparisons without a difference, or with an approved one. */
  readonly confirmed: number;
  readonly different: number;
  readonly lost: number;
  readonly verdict: Verdict;
  readonly reasons: readonly string[];
  /** The reasons that more traffic doesn't answer. */
  readonly holes: readonly string[];
  /** Of an inconclusive one: what kept it so, and what to do. */
  readonly hindrances: readonly Hindrance[];
}

export interface Limits {
  readonly id: number;
  readonly at: string;
  readonly values: Thresholds;
}

interface Evidence {
  readonly operation: LegacyOperation;
  readonly spans: readonly Span[];
  readonly parts: readonly Part[];
  /** Oldest first. */
  readonly limits: readonly Limits[];
  readonly moved: readonly (MovedShare & { readonly epoch: number })[];
  /** The places of the last difference of each epoch. */
  readonly places: ReadonlyMap<number, readonly string[]>;
}

/**
 * The periods of a route with evidence, and those of its modes outside `legacy` without any; oldest
 * first. Each is judged by the limits that were in force in it.
 */
export function judgePeriods(evidence: Evidence): JudgedPeriod[] {
  const { operation, spans, parts, moved, places } = evidence;
  const periods: JudgedPeriod[] = [];
  let legacyBefore = NO_FIGURES;
  for (const { part, mode, from, until, thresholds } of stretchesOf(evidence)) {
    const legacy = part.figures.legacy ?? NO_FIGURES;
    const service = part.figures.service ?? NO_FIGURES;
    const judged = {
      operation,
      mode,
      epoch: part.epoch,
      legacy,
      service,
      legacyBefore,
      share: moved.find(({ epoch }) => epoch === part.epoch) ?? NO_SHARE,
      outcomes: part.outcomes,
      coverage: part.coverage,
      different: part.outcomes.different ?? 0,
      places: [...places.get(part.epoch) ?? []],
    };
    const { verdict, reasons } = judge(judged, thresholds);
    periods.push({
      from,
      until,
      mode,
      epoch: part.epoch,
      limits: part.limits,
      requests: { legacy: legacy.requests, service: service.requests },
      compared: comparedOf(part.outcomes),
      confirmed: confirmedOf(part),
      different: judged.different,
      lost: coverageOf(part).lost,
      verdict,
      reasons,
      holes: isCompared(judged) ? holesOf(part, thresholds) : [],
      hindrances: verdict === "inconclusive"
        ? whyNothingCounts({
          operation,
          mode,
          samplePercent: 100,
          seconds: secondsOf(from, until),
          requests: legacy.requests + service.requests,
          share: judged.share,
          outcomes: part.outcomes,
          coverage: part.coverage,
        }, thresholds)
        : [],
    });
    legacyBefore = sumOf(legacyBefore, legacy);
  }
  const epochs = new Set(parts.map(({ epoch }) => epoch));
  const without = spans.filter(({ mode, epoch }) => mode.name !== "legacy" && !epochs.has(epoch));
  return [...periods, ...without.map((span) => emptyPeriod(span, evidence))]
    .toSorted((one, other) => one.from < other.from ? -1 : one.from > other.from ? 1 : 0);
}

/** Evidence whose epoch isn't on record is judged as a shadow's: whose mode it was nobody knows. */
const UNKNOWN_MODE: Mode = { name: "shadow" };

function stretchesOf({ spans, parts, limits }: Evidence) {
  return parts.flatMap((part) => {
    const at = limits.findIndex(({ id }) => id === part.limits);
    const [set, next] = [limits[at], limits[at + 1]];
    if (set === undefined) throw new Error(`the limits ${part.limits} are not on record`);
    const all = spans.filter(({ epoch }) => epoch === part.epoch);
    // The kill switch changes the mode and leaves the epoch.
    const span = all.find(({ mode }) => mode.name !== "legacy") ?? all[0];
    // Requests on `legacy` alone are no evidence of Lotline.
    if (span?.mode.name === "legacy" && comparedOf(part.outcomes) === 0) return [];
    const from = at > 0 && span !== undefined && set.at > span.from ? set.at : span?.from;
    const until = next !== undefined && span !== undefined && next.at < span.until
      ? next.at
      : span?.until;
    return [{
      part,
      mode: span === undefined || span.mode.name === "legacy" ? UNKNOWN_MODE : span.mode,
      from: from ?? part.first,
      until: until ?? part.last,
      thresholds: set.values,
    }];
  }).toSorted((one, other) =>
    one.part.epoch - other.part.epoch || one.part.limits - other.part.limits
  );
}

const secondsOf = (from: string, until: string) => (Date.parse(until) - Date.parse(from)) / 1_000;

function emptyPeriod(
  { from, until, mode, epoch }: Span,
  { operation, limits }: Evidence,
): JudgedPeriod {
  const set = limits.findLast(({ at }) => at <= from) ?? limits[0];
  if (set === undefined) throw new Error("no limits are on record");
  return {
    from,
    until,
    mode,
    epoch,
    limits: set.id,
    requests: { legacy: 0, service: 0 },
    compared: 0,
    confirmed: 0,
    different: 0,
    lost: 0,
    verdict: "inconclusive",
    reasons: ["no request was seen"],
    holes: [],
    hindrances: whyNothingCounts({
      operation,
      mode,
      samplePercent: 100,
      seconds: secondsOf(from, until),
      requests: 0,
      share: undefined,
      outcomes: {},
      coverage: {},
    }, set.values),
  };
}

/** What an upstream has received in both times. */
export function sumOf(one: UpstreamFigures, other: UpstreamFigures): UpstreamFigures {
  return {
    requests: one.requests + other.requests,
    serverErrors: one.serverErrors + other.serverErrors,
    silences: one.silences + other.silences,
    latencies: addHistogram(one.latencies, other.latencies),
  };
}
