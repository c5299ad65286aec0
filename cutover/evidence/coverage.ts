import { z } from "zod";
import type { FailureKind } from "../exchange/exchange.ts";

/*
 * How much of a route's traffic was compared. Each exchange that is to be compared counts as due, and
 * once more by its outcome. A due exchange without an outcome is missing.
 */

/**
 * The outcome of one comparison. `raced`: the responses differ, and a change of the data between the
 * two explains it. `late`: they differed, and were the same when both servers got the request again a
 * moment later. `unanswered`: one of the two servers sent no response. `lost`: the comparison was not
 * made, or not finished.
 */
export const OutcomeForm = z.enum([
  "same",
  "approved",
  "raced",
  "late",
  "different",
  "unanswered",
  "lost",
]);
export type Outcome = z.output<typeof OutcomeForm>;

export const OutcomeCountsForm = z.partialRecord(OutcomeForm, z.number());

export type OutcomeCounts = Readonly<z.output<typeof OutcomeCountsForm>>;

/** Why a comparison is `lost`, in words. */
export const LOST_CAUSES = {
  /** A body too large to be captured, and the digests don't decide. */
  size: "size",
  /** The content coding of a body isn't known. */
  coding: "content coding",
  queue: "queue",
  /** The client left, or did not read its response. */
  client_left: "client left",
  /** No connection to the other server was free. */
  overload: "overload",
  /** The route went back to another mode while the request was in flight. */
  route_changed: "route changed",
  stopped: "gateway stopped",
  failed: "comparing failed",
};

export type LostCause = keyof typeof LOST_CAUSES;

/** Why a comparison is `unanswered`, in words. */
const UNANSWERED_CAUSES = {
  time: "time",
  refused: "refused",
  reset: "reset",
  /** The server said that it can't respond now. */
  unavailable: "unavailable",
  /** Dry runs are paused or over. */
  not_asked: "not asked",
};

export type UnansweredCause = keyof typeof UNANSWERED_CAUSES;

/** The cause that belongs to each failure of an exchange. */
export const CAUSES: Readonly<Record<FailureKind, UnansweredCause>> = {
  timeout: "time",
  refused: "refused",
  reset: "reset",
  too_large: "unavailable",
  not_asked: "not_asked",
};

/**
 * What is counted of exchanges besides their outcomes. `due`: it is to be compared. `not_sampled`: the
 * route's sample leaves it out. `success`: both servers sent the same 2xx response.
 */
export type Covered = "due" | "not_sampled" | "success" | LostCause | UnansweredCause;

/** Counts by {@link Covered}; names that this program doesn't know are ignored. */
export type CoverageCounts = Readonly<Record<string, number>>;

/** A cause in words, and how often it was one. */
type Cause = { readonly cause: string; readonly count: number };

/** What was due and its outcomes, of one route in some time; the most frequent causes come first. */
export function coverageOf(
  { outcomes, coverage }: { readonly outcomes: OutcomeCounts; readonly coverage: CoverageCounts },
) {
  const settled = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  const due = Math.max(coverage.due ?? 0, settled);
  // The comparisons of a process that was killed never get an outcome.
  const missing = due - settled;
  const lost = (outcomes.lost ?? 0) + missing;
  const unanswered = outcomes.unanswered ?? 0;
  return {
    /** Exchanges that were to be compared; at least those that have an outcome. */
    due,
    /** Comparisons that were lost, and due exchanges without an outcome. */
    lost,
    lostPercent: due === 0 ? 0 : lost / due * 100,
    unanswered,
    notSampled: coverage.not_sampled ?? 0,
    successes: coverage.success ?? 0,
    lostBy: causesOf(LOST_CAUSES, coverage, outcomes.lost ?? 0, [
      { cause: "no outcome (such as a killed gateway)", count: missing },
    ]),
    unansweredBy: causesOf(UNANSWERED_CAUSES, coverage, unanswered, []),
  };
}

/** The causes as text, such as `size 2,000, queue 12`; empty without a cause. */
export function describeCauses(causes: readonly Cause[]): string {
  return causes.map(({ cause, count }) => `${cause} ${count.toLocaleString("en-US")}`).join(", ");
}

function causesOf(
  words: Readonly<Record<string, string>>,
  counts: CoverageCounts,
  total: number,
  others: readonly Cause[],
): readonly Cause[] {
  const known = Object.entries(words).map(([name, cause]) => ({ cause, count: counts[name] ?? 0 }));
  const named = known.reduce((sum, { count }) => sum + count, 0);
  // Evidence that is older than the counts of causes.
  const rest = { cause: "unknown", count: Math.max(0, total - named) };
  return [...known, rest, ...others].filter(({ count }) => count > 0)
    .toSorted((one, other) => other.count - one.count);
}
