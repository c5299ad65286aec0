import type { Coverage } from "../evidence/coverage.ts";
import type { Outcome } from "../evidence/coverage.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import type { Operation } from "../exchange/operations.ts";
import type { MovedShare } from "../routes/moved_share.ts";
import type { Mode, Upstream } from "../exchange/route.ts";

/**
 * Everything that the evidence of the cutover is made of. The same data makes the same report: there
 * is no clock in it. Moments are UTC text with milliseconds.
 */
export interface ReportData {
  /** The first moment that counts. */
  readonly since: string;
  /** The moment from which on nothing counts any more. */
  readonly until: string;
  /** Who has put all routes on the old server by the kill switch, if it is on. */
  readonly killed?: { readonly by: string; readonly why: string };
  /** By what the verdicts are reached. */
  readonly limits: Thresholds;
  /** In the order of the contract. */
  readonly routes: readonly RouteEvidence[];
}

/** The evidence about one operation. */
export interface RouteEvidence {
  readonly operation: Operation;
  readonly method: string;
  /** As the contract writes it, such as `/api/traceability/{lotCode}`. */
  readonly path: string;
  /** When the first and the last of what counts here was seen; absent: nothing was. */
  readonly seen?: { readonly from: string; readonly to: string };
  /** How the route stands when the report is made. */
  readonly now: {
    readonly mode: Mode;
    readonly samplePercent: number;
    /** Why it was rolled back by itself, as long as nobody has cleared that. */
    readonly latch?: string;
  };
  /** Every change in the period, oldest first; the first one may be what was in force before. */
  readonly history: readonly ModeChange[];
  /** What each canary of the period really moved, oldest first; a hundred at most, the newest. */
  readonly moved: readonly MovedStep[];
  /** Comparisons by what became of them. */
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** How much of what was to be compared they are, and why the rest was not. */
  readonly coverage: Coverage;
  /** The kinds with the most cases first; a hundred at most. */
  readonly differences: readonly DifferenceEvidence[];
  /** By id. */
  readonly approvals: readonly UsedApproval[];
  readonly sides: Readonly<Record<Upstream, UpstreamFigures>>;
  readonly verdict: Verdict;
}

/** A change of a route's mode. */
export interface ModeChange {
  readonly at: string;
  /** `set`, `sample`, `rollback`, `clear`, `kill` or `release`. */
  readonly what: string;
  /** Who; the gateway where a verdict did it. */
  readonly by: string;
  readonly why: string;
  /** As text, such as `canary 10 %`. */
  readonly from: string;
  readonly to: string;
  /** Nobody decided it: a verdict did. */
  readonly automatic: boolean;
}

/** A canary, and whom it moved. */
export interface MovedStep extends MovedShare {
  /** The share of the clients that it was to move. */
  readonly percent: number;
  readonly since: string;
}

/** One kind of difference that was not approved. */
export interface DifferenceEvidence {
  /** The same for differences of one kind, whatever the values. */
  readonly fingerprint: string;
  /** How many cases are kept: of many of one kind in a day only some are, and old ones are deleted. */
  readonly kept: number;
  readonly first: string;
  readonly last: string;
  /** The last case. Personal data is replaced. */
  readonly example: {
    readonly mode: string;
    /** Method and target. */
    readonly request: string;
    readonly differences: readonly Difference[];
  };
}

/** An approval that made differences pass. */
export interface UsedApproval {
  readonly id: string;
  readonly count: number;
  /** What approved.yaml says of it; absent: it isn't there any more. */
  readonly entry?: {
    readonly reason: string;
    /** Days, YYYY-MM-DD. */
    readonly approved: string;
    readonly review: string;
  };
}

/** How one side did, in the answers that a gateway had from it. */
export interface UpstreamFigures {
  /** Requests of clients and of comparisons. */
  readonly requests: number;
  /** Of these, answered with 500 to 599. */
  readonly failed: number;
  /** Of these, not answered at all. */
  readonly silent: number;
  /** In ms, not more exact than the classes in which times are counted; absent: no answers. */
  readonly p50?: number;
  readonly p99?: number;
}

/** What the evidence about a route says. */
export interface Verdict {
  readonly result: "pass" | "fail" | "not enough yet";
  /** Sentences. */
  readonly reasons: readonly string[];
}

/** What a whole report says: `fail` with one route that failed, `pass` only when all passed. */
export function resultOf({ routes }: Pick<ReportData, "routes">): Verdict["result"] {
  const results = new Set(routes.map(({ verdict }) => verdict.result));
  if (results.has("fail")) return "fail";
  return results.has("not enough yet") || results.size === 0 ? "not enough yet" : "pass";
}

/** How many comparisons ended with an answer to the question: same, or in what way not. */
export function comparedOf(outcomes: RouteEvidence["outcomes"]): number {
  const { same, approved, raced, late, different } = outcomes;
  return same + approved + raced + late + different;
}
