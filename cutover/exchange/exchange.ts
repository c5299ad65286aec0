import type { LegacyOperation } from "./operations.ts";
import type { Route, Upstream } from "./route.ts";

/** Header fields in their order and case, one entry a line. */
export type HeaderLines = readonly (readonly [name: string, value: string])[];

/** The value of a header, `name` in lower case; several lines are joined by commas. */
export function headerOf(headers: HeaderLines, name: string): string | undefined {
  const values = headers.filter(([one]) => one.toLowerCase() === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
}

/** A request that has arrived completely. */
export interface CapturedRequest {
  readonly method: string;
  /** Path and query as the client wrote them. */
  readonly target: string;
  readonly headers: HeaderLines;
  readonly body: Uint8Array;
}

/** Size and hash of a body that was too large to be captured. */
export interface BodyDigest {
  readonly bytes: number;
  readonly sha256: string;
}

/** A response that has arrived completely. */
export interface CapturedResponse {
  readonly status: number;
  readonly headers: HeaderLines;
  /** Empty when it was too large, which {@link CapturedResponse.digest} then describes. */
  readonly body: Uint8Array;
  readonly digest?: BodyDigest;
  /** From sending the request to the last byte of the response. */
  readonly ms: number;
}

/** Why an upstream returned no response that can be compared. */
export type FailureKind = "refused" | "reset" | "timeout" | "too_large" | "not_asked";

/** The result of one request to an upstream. */
export type Exchange = CapturedResponse | { readonly failure: FailureKind; readonly ms: number };

/** An exchange with a client, to be compared with the other upstream's response or recorded. */
export interface Observation {
  readonly operation: LegacyOperation;
  readonly route: Route;
  readonly request: CapturedRequest;
  /** When the request was complete, in ms since 1970. */
  readonly at: number;
  /** The upstream whose response the client received. */
  readonly upstream: Upstream;
  readonly response: CapturedResponse;
  /** Lotline's response to a dry run of a write that the old server executed afterwards. */
  readonly dryRun?: Exchange;
  /** Lotline's response to the client's own request, before the old server's in its place. */
  readonly earlier?: Exchange;
}
