import { comparedBytesOf, responseBytesOf } from "../exchange/compared_bytes.ts";
import type { UpstreamLimits } from "../upstream/connection.ts";

/** Bounds of the gateway's server, for one process. */
export interface GatewayServerLimits {
  readonly headerBytes: number;
  readonly headerMs: number;
  readonly requestMs: number;
  /** Delays `100 Continue`: within this time a client that doesn't wait for it has sent something. */
  readonly continueMs: number;
  readonly bodyBytes: number;
  /** A body that isn't complete after this time is forwarded as it arrives. */
  readonly headTimeoutMs: number;
  /** A larger response body is compared by its digest. */
  readonly responseBytes: number;
  /** For the long bodies of all exchanges that are compared. */
  readonly comparedBytes: number;
  /** How long such a request waits for its share of them before it is forwarded uncompared. */
  readonly comparedMs: number;
  /** Bodies that are forwarded as they arrive: each occupies a connection to an upstream. */
  readonly uploads: number;
  /** How long a client may read nothing of a response. */
  readonly writeMs: number;
  readonly keepAliveMs: number;
  readonly connections: number;
  /** Requests in flight; further ones receive 503. */
  readonly inFlight: number;
  /** Requests whose bodies are arriving. They don't count as in flight, so slow clients block nobody. */
  readonly headsInFlight: number;
  readonly pipelined: number;
  readonly upstream: UpstreamLimits;
  /** The interval at which deadlines are checked. */
  readonly sweepMs: number;
}

/** The bounds in production. */
export function serverLimits(
  { bodyBytes, responseTimeoutMs }: { bodyBytes: number; responseTimeoutMs: number },
): GatewayServerLimits {
  return {
    headerBytes: 16_384,
    headerMs: 10_000,
    requestMs: 30_000,
    continueMs: 5,
    bodyBytes,
    headTimeoutMs: 250,
    responseBytes: responseBytesOf(bodyBytes),
    comparedBytes: comparedBytesOf(bodyBytes),
    comparedMs: 2_000,
    uploads: 50,
    writeMs: 30_000,
    // Load balancers close an idle connection after 60 s. Whichever end closes first may cut off a
    // request that is being sent.
    keepAliveMs: 65_000,
    connections: 5_000,
    inFlight: 1_000,
    // Each holds 128 kB at most, unless it has a share of `comparedBytes`.
    headsInFlight: 3_000,
    pipelined: 64,
    upstream: {
      connections: 200,
      waiting: 200,
      connectMs: 2_000,
      responseTimeoutMs,
      // A Node server closes after 5 s.
      idleMs: 4_000,
      recentMs: 1_000,
    },
    sweepMs: 250,
  };
}
