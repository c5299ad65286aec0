import { comparedBytesOf, responseBytesOf } from "../exchange/compared_bytes.ts";
import type { UpstreamLimits } from "../upstream/connection.ts";

/** Bounds of the forwarding front, for one process. */
export interface GatewayServerLimits {
  /** The most bytes of a request's first line and headers. */
  readonly headerBytes: number;
  /** How long a client may take to send them. */
  readonly headerMs: number;
  /** How long a client may take to send a whole request. */
  readonly requestMs: number;
  /** How long `100 Continue` is held back: a client that doesn't wait for it has sent something by then. */
  readonly continueMs: number;
  /** The most bytes of a request's body. */
  readonly bodyBytes: number;
  /** How long a body is waited for before it is passed on as it comes. */
  readonly headTimeoutMs: number;
  /** An answer of more bytes is compared by its digest. */
  readonly responseBytes: number;
  /** What long bodies of exchanges that are compared may take up together, in bytes. */
  readonly comparedBytes: number;
  /** How long such a request waits for its share of them, before it is passed on uncompared. */
  readonly comparedMs: number;
  /** The most bodies that are passed on as they come: each takes up a connection to a side. */
  readonly uploads: number;
  /** How long a client may take nothing of an answer. */
  readonly writeMs: number;
  readonly keepAliveMs: number;
  /** The most connections of clients. */
  readonly connections: number;
  /** The most requests that are worked on at once; more are told to come back. */
  readonly inFlight: number;
  /**
   * The most requests whose bodies are still being gathered. They aren't worked on yet: slow clients
   * keep nobody else from an answer.
   */
  readonly headsInFlight: number;
  /** The most requests that one connection may have sent ahead. */
  readonly pipelined: number;
  /** For each side. */
  readonly upstream: UpstreamLimits;
  /** How often what takes too long is looked for. */
  readonly sweepMs: number;
}

/** The bounds that hold unless a test waits for them. */
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
    // Longer than the 60 s after which balancers close an idle connection: whoever closes it first
    // may cut off a request that is on its way.
    keepAliveMs: 65_000,
    connections: 5_000,
    inFlight: 1_000,
    // 128 kB each at most, but for those that have a share of `comparedBytes`.
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
