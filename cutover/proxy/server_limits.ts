/** Bounds of the gateway's server, for one process. */
export type GatewayServerLimits = Readonly<ReturnType<typeof serverLimits>>;

export function serverLimits(
  { bodyBytes, responseTimeoutMs }: { bodyBytes: number; responseTimeoutMs: number },
) {
  return {
    headerBytes: 16_384,
    headerMs: 10_000,
    requestMs: 30_000,
    /** Delays `100 Continue`: within this time a client that doesn't wait for it has sent something. */
    continueMs: 5,
    bodyBytes,
    /** A body that isn't complete after this time is forwarded as it arrives. */
    headTimeoutMs: 250,
    /**
     * A larger response body is compared by its digest. A response repeats the body of its request and
     * adds fields. Comparing two bodies of 1 MB blocks the process for about 0.1 s.
     */
    responseBytes: Math.max(bodyBytes, 1_048_576) + 262_144,
    /** For the long bodies of all exchanges that are compared: the largest exchange always fits. */
    comparedBytes: Math.max(67_108_864, 8 * bodyBytes),
    /** How long such a request waits for its share of them before it is forwarded uncompared. */
    comparedMs: 2_000,
    /** Bodies that are forwarded as they arrive: each occupies a connection to an upstream. */
    uploads: 50,
    /** How long a client may read nothing of a response. */
    writeMs: 30_000,
    /**
     * Load balancers close an idle connection after 60 s. Whichever end closes first may cut off a
     * request that is being sent.
     */
    keepAliveMs: 65_000,
    connections: 5_000,
    /** Requests in flight; further ones receive 503. */
    inFlight: 1_000,
    /**
     * Requests whose bodies are arriving. They don't count as in flight, so slow clients block nobody.
     * Each holds 128 kB at most, unless it has a share of `comparedBytes`.
     */
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
    /** The interval at which deadlines are checked. */
    sweepMs: 250,
  };
}
