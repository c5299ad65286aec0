import type { Covered, LostCause, Outcome, UnansweredCause } from "./coverage.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import type { LegacyOperation, Operation } from "../exchange/operations.ts";
import type { Mode, Route, Upstream } from "../exchange/route.ts";

/** One place in which two answers differ. */
export interface Difference {
  /** `status`, `header content-type`, or a place in the body such as `body.central.weight_kg`. */
  readonly place: string;
  /** What the old server said there, as text; absent: nothing. */
  readonly legacy?: string;
  readonly service?: string;
}

/** What a comparison found. */
export interface Finding {
  readonly operation: LegacyOperation;
  readonly route: Route;
  readonly outcome: Outcome;
  /** Of a comparison that is `lost` or `unanswered`. */
  readonly cause?: LostCause | UnansweredCause;
  /** The approvals that were needed, by id; empty unless `approved`. */
  readonly approvals: readonly string[];
  /** Empty unless `different`, `late` or `raced`. */
  readonly differences: readonly Difference[];
  /** What was compared, of a finding with differences; personal data has been replaced. */
  readonly exchange?: {
    readonly mode: Mode["name"];
    readonly request: CapturedRequest;
    readonly legacy: CapturedResponse;
    readonly service: CapturedResponse;
  };
}

/** Where the gateway puts what it sees. Nothing here waits, throws or grows without bound. */
export interface Evidence {
  /**
   * A side has dealt with a request, the client's own or one that was made to compare.
   *
   * @param status 0: it gave no answer
   * @param ms until the last byte
   */
  responded(
    operation: Operation,
    route: Route,
    upstream: Upstream,
    status: number,
    ms: number,
  ): void;
  /**
   * A client's request is over, on a route of which clients are counted.
   *
   * @param upstream the one that answered, or that had the request last
   * @param bucket the client's
   */
  served(operation: Operation, route: Route, upstream: Upstream, bucket: number): void;
  /** A comparison is over. */
  found(finding: Finding): void;
  /** Something else is known of an exchange with a client: how far the comparisons cover them. */
  covered(operation: LegacyOperation, route: Route, what: Covered): void;
}
