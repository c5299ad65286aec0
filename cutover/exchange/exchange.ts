import type { LegacyOperation } from "./operations.ts";
import type { Route, Upstream } from "./route.ts";

/** Headers in the order and with the letters in which they came, one entry a line. */
export type HeaderLines = readonly (readonly [name: string, value: string])[];

/** A request that was read to its end. */
export interface CapturedRequest {
  readonly method: string;
  /** Path and query as the client wrote them. */
  readonly target: string;
  readonly headers: HeaderLines;
  readonly body: Uint8Array;
}

/** What is known of a body that is too large to be kept. */
export interface BodyDigest {
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

/** An answer that was read to its end. */
export interface CapturedResponse {
  readonly status: number;
  readonly headers: HeaderLines;
  /** Empty when it was too large to be kept: see {@link CapturedResponse.digest}. */
  readonly body: Uint8Array;
  readonly digest?: BodyDigest;
  /** From the request's being sent to the last byte, in ms. */
  readonly ms: number;
}

/** Why a side gave no answer that can be compared. */
export type FailureKind = "refused" | "reset" | "timeout" | "too_large" | "not_asked";

/** What came of asking a side. */
export type Exchange = CapturedResponse | { readonly failure: FailureKind; readonly ms: number };

/** An exchange with a client that is to be compared with what the other side says. */
export interface Observation {
  readonly operation: LegacyOperation;
  readonly route: Route;
  readonly request: CapturedRequest;
  /** When the request had been read, in ms since 1970. */
  readonly at: number;
  /** The side that answered the client. */
  readonly upstream: Upstream;
  readonly response: CapturedResponse;
  /** What Lotline would have answered, for a write that the old server executed afterwards. */
  readonly dryRun?: Exchange;
  /** What Lotline made of the client's own request, before the old server answered in its place. */
  readonly earlier?: Exchange;
}
