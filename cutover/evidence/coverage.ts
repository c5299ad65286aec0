import type { FailureKind } from "../exchange/exchange.ts";

/*
 * How much of a route's traffic was really compared. Each exchange that is to be compared is counted
 * as due, and once more by what became of it: what has no outcome is missing.
 */

/**
 * What became of one comparison. `raced`: the answers differ, and a change of the data between the
 * two explains it. `late`: they differed, and no more when both sides were asked again a moment
 * later. `unanswered`: one of the two sides gave no answer. `lost`: the comparison was not made, or not
 * to its end.
 */
export type Outcome =
  | "same"
  | "approved"
  | "raced"
  | "late"
  | "different"
  | "unanswered"
  | "lost";

/**
 * Why a comparison is `lost`. `size`: a body too large to be kept, whose digests don't settle it.
 * `coding`: a body in a content coding that isn't known. `queue`: too much waited already. `client_left`: the client left, or took nothing of its answer.
 * `overload`: no connection to the side was free. `route_changed`: the route went back while the
 * request was on its way. `stopped`: the gateway stopped first. `failed`: comparing itself failed.
 */
export type LostCause =
  | "size"
  | "coding"
  | "queue"
  | "client_left"
  | "overload"
  | "route_changed"
  | "stopped"
  | "failed";

/**
 * Why a comparison is `unanswered`. `time`: the side took too long. `refused`, `reset`: there was no
 * connection, or it broke. `unavailable`: the side said that it can't answer now. `not_asked`: dry
 * runs pause or have ended.
 */
export type UnansweredCause = "time" | "refused" | "reset" | "unavailable" | "not_asked";

/** Why a comparison without an answer is unanswered. */
export const CAUSES: Readonly<Record<FailureKind, UnansweredCause>> = {
  timeout: "time",
  refused: "refused",
  reset: "reset",
  too_large: "unavailable",
  not_asked: "not_asked",
};

/**
 * What is counted of exchanges besides their outcomes. `due`: it is to be compared. `not_sampled`: the
 * route's share left it out. `success`: both sides answered with 2xx, and alike.
 */
export type Covered = "due" | "not_sampled" | "success" | LostCause | UnansweredCause;

/** Counts by {@link Covered}; names that this program doesn't know are left alone. */
export type CoverageCounts = Readonly<Record<string, number>>;

/** Which causes go with which outcome. Records instead of lists: the compiler asks for each. */
const OF_LOST: Readonly<Record<LostCause, string>> = {
  size: "size",
  coding: "content coding",
  queue: "queue",
  client_left: "client left",
  overload: "overload",
  route_changed: "route changed",
  stopped: "gateway stopped",
  failed: "comparing failed",
};
const OF_UNANSWERED: Readonly<Record<UnansweredCause, string>> = {
  time: "time",
  refused: "refused",
  reset: "reset",
  unavailable: "unavailable",
  not_asked: "not asked",
};

/** What was due and what became of it, of one route in some time. */
export interface Coverage {
  /** Exchanges that were to be compared, as far as their outcomes or their being due are known. */
  readonly due: number;
  /** Comparisons that were lost, those among them that never had an outcome. */
  readonly lost: number;
  /** Of all that was due, in %. */
  readonly lostPercent: number;
  readonly unanswered: number;
  /** Left out by the route's share, on purpose. */
  readonly notSampled: number;
  /** Comparisons in which both sides answered with 2xx, and alike. */
  readonly successes: number;
  /** The causes in words, the most frequent first. */
  readonly lostBy: readonly Cause[];
  readonly unansweredBy: readonly Cause[];
}

/** A cause in words, and how often it was one. */
export interface Cause {
  readonly cause: string;
  readonly count: number;
}

/** What the counts of outcomes and of coverage say together. */
export function coverageOf(
  { outcomes, coverage }: {
    readonly outcomes: Readonly<Partial<Record<Outcome, number>>>;
    readonly coverage: CoverageCounts;
  },
): Coverage {
  const settled = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
  const due = Math.max(coverage.due ?? 0, settled);
  // A process that was killed takes what it was comparing with it.
  const missing = due - settled;
  const lost = (outcomes.lost ?? 0) + missing;
  const unanswered = outcomes.unanswered ?? 0;
  return {
    due,
    lost,
    lostPercent: due === 0 ? 0 : lost / due * 100,
    unanswered,
    notSampled: coverage.not_sampled ?? 0,
    successes: coverage.success ?? 0,
    lostBy: causesOf(OF_LOST, coverage, outcomes.lost ?? 0, [
      { cause: "no outcome, such as a gateway that was killed", count: missing },
    ]),
    unansweredBy: causesOf(OF_UNANSWERED, coverage, unanswered, []),
  };
}

/** The causes as text, such as `size 2,000, queue 12`; empty: there is none. */
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
  // Of evidence from before causes were counted.
  const rest = { cause: "unknown", count: Math.max(0, total - named) };
  return [...known, rest, ...others].filter(({ count }) => count > 0)
    .toSorted((one, other) => other.count - one.count);
}
