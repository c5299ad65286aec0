import type { Coverage, Outcome } from "../evidence/coverage.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { Thresholds } from "../rollout/thresholds.ts";
import type { Verdict } from "../rollout/verdict.ts";
import type { Operation } from "../exchange/operations.ts";
import type { MovedStep } from "../routes/route_clients.ts";
import type { Mode, Upstream } from "../exchange/route.ts";

/**
 * The evidence of the cutover. It holds no clock: the same data makes the same report. Moments are
 * UTC text with milliseconds.
 */
export interface ReportData {
  /** The first moment that counts. */
  readonly since: string;
  /** The moment after the last one that counts. */
  readonly until: string;
  /** Who has switched the kill switch on, if it is on. */
  readonly killed?: { readonly by: string; readonly why: string };
  /** The limits that the verdicts use. */
  readonly limits: Thresholds;
  /** In the order of the contract. */
  readonly routes: readonly RouteReport[];
}

/** The evidence about one operation. */
export interface RouteReport {
  readonly operation: Operation;
  readonly method: string;
  /** As the contract writes it, such as `/api/traceability/{lotCode}`. */
  readonly path: string;
  /** The first and the last minute with evidence; absent: there is none. */
  readonly seen?: { readonly from: string; readonly to: string };
  /** The route when the report is made. */
  readonly now: {
    readonly mode: Mode;
    readonly samplePercent: number;
    /** Why it was rolled back automatically, until a person clears it. */
    readonly latch?: string;
  };
  /** Every change in the period, oldest first; the first one may be what was in force before. */
  readonly history: readonly ModeChange[];
  /** The share that each canary of the period moved, oldest first; the newest hundred at most. */
  readonly moved: readonly Omit<MovedStep, "operation" | "epoch">[];
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** How much of what was due was compared, and why the rest was not. */
  readonly coverage: Coverage;
  /** The kinds with the most cases first; a hundred at most. */
  readonly differences: readonly DifferenceEvidence[];
  /** By id. */
  readonly approvals: readonly UsedApproval[];
  readonly sides: Readonly<Record<Upstream, UpstreamFigures>>;
  readonly verdict: { readonly result: Verdict; readonly reasons: readonly string[] };
}

/** A change of a route's mode. */
export interface ModeChange {
  readonly at: string;
  /** `set`, `sample`, `rollback`, `clear`, `kill` or `release`. */
  readonly what: string;
  /** A person, or the gateway after a verdict. */
  readonly by: string;
  readonly why: string;
  /** As text, such as `canary 10 %`. */
  readonly from: string;
  readonly to: string;
  /** A verdict caused it, no person. */
  readonly automatic: boolean;
}

/** One kind of difference that was not approved. */
export interface DifferenceEvidence {
  /** The same for all differences of one kind. */
  readonly fingerprint: string;
  /** How many cases are kept; in a day only some of one kind are, and old ones are deleted. */
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
  /** Its entry in approved.yaml; absent: it is no longer there. */
  readonly entry?: {
    readonly reason: string;
    /** Days, YYYY-MM-DD. */
    readonly approved: string;
    readonly review: string;
  };
}

/** The requests that one side received from the gateways. */
export interface UpstreamFigures {
  /** Requests of clients and of comparisons. */
  readonly requests: number;
  /** Of these, responses with 500 to 599. */
  readonly failed: number;
  /** Of these, without a response. */
  readonly silent: number;
  /** In ms, as exact as the classes in which times are counted; absent: no responses. */
  readonly p50?: number;
  readonly p99?: number;
}

/** The verdict over all routes: `fail` with one route that failed, `pass` only when all passed. */
export function resultOf({ routes }: Pick<ReportData, "routes">): Verdict {
  const results = new Set(routes.map(({ verdict }) => verdict.result));
  if (results.has("fail")) return "fail";
  return results.has("not enough yet") || results.size === 0 ? "not enough yet" : "pass";
}

/** The number of comparisons of two responses. */
export function comparedOf(outcomes: RouteReport["outcomes"]): number {
  const { same, approved, raced, late, different } = outcomes;
  return same + approved + raced + late + different;
}
