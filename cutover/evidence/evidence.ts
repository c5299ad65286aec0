import type { Covered, LostCause, Outcome, UnansweredCause } from "./coverage.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import type { LegacyOperation, Operation } from "../exchange/operations.ts";
import type { Mode, Route, Upstream } from "../exchange/route.ts";

/** One place in which two responses differ. */
export type Difference = {
  /** `status`, `header content-type`, or a place in the body such as `body.central.weight_kg`. */
  readonly place: string;
  /** The old server's value as text; absent: there is none. */
  readonly legacy?: string;
  readonly service?: string;
};

/** A difference without the values that there are none of. */
export function differenceOf(
  place: string,
  legacy: string | undefined,
  service: string | undefined,
): Difference {
  return {
    place,
    ...(legacy !== undefined && { legacy }),
    ...(service !== undefined && { service }),
  };
}

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

/** Receives what the gateway observes. Nothing here waits, throws or grows without bound. */
export interface Evidence {
  /**
   * An upstream has finished a request, a client's or one that was sent to compare.
   *
   * @param status 0: it sent no response
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
   * A client's request is over, on a route whose clients are counted.
   *
   * @param upstream the one that responded, or that had the request last
   * @param bucket the client's
   */
  served(operation: Operation, route: Route, upstream: Upstream, bucket: number): void;
  found(finding: Finding): void;
  /** How far comparisons cover an exchange with a client. */
  covered(operation: LegacyOperation, route: Route, what: Covered): void;
  /**
   * The old server has finished a request that matches no operation.
   *
   * @param status 0: it sent no response
   */
  unknown(method: string, target: string, status: number): void;
}
