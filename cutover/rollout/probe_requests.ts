import type { CapturedRequest, HeaderLines, Observation } from "../exchange/exchange.ts";

/** The content codings that comparing can decode. */
export const ALL_CODINGS = "gzip, deflate, br, zstd";

/** How many of ten traces are of a lot that doesn't exist. */
const ABSENT_OF_TEN = 2;

/**
 * An endless series of requests of the old API that change nothing: health, traces of these lots and
 * of lots that don't exist, logins of accounts that don't exist.
 *
 * @param options.acceptEncoding the codings that every second round accepts; the others accept none
 */
export function* safeRequests(
  lotCodes: readonly string[],
  { hasLogins = true, acceptEncoding }: { hasLogins?: boolean; acceptEncoding?: string } = {},
): Generator<Pick<Observation, "operation" | "request">, never> {
  for (let number = 0;; number++) {
    const lots = Math.max(1, lotCodes.length);
    // Each lot is requested with and without codings.
    const isCoded = (number % lots + Math.floor(number / lots)) % 2 === 1;
    const headers: HeaderLines = [
      ["accept", "application/json"],
      ...(acceptEncoding !== undefined && isCoded
        ? [["accept-encoding", acceptEncoding] as const]
        : []),
    ];
    yield { operation: "getHealth", request: get("/api/health", headers) };
    const code = lotCodes[number % lots];
    const isAbsent = code === undefined || number % 10 < ABSENT_OF_TEN;
    const requested = isAbsent ? `NO-SUCH-LOT-${crypto.randomUUID()}` : code;
    yield {
      operation: "getTraceability",
      request: get(`/api/traceability/${encodeURIComponent(requested)}`, headers),
    };
    if (!hasLogins) continue;
    const email = `nobody-${crypto.randomUUID()}@example.invalid`;
    yield {
      operation: "login",
      request: {
        method: "POST",
        target: "/api/login",
        headers: [...headers, ["content-type", "application/json"]],
        body: new TextEncoder().encode(JSON.stringify({ email })),
      },
    };
  }
}

function get(target: string, headers: HeaderLines): CapturedRequest {
  return { method: "GET", target, headers, body: new Uint8Array() };
}
