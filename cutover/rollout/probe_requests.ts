import type { CapturedRequest, HeaderLines } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";

/** A request that changes nothing, wherever it goes. */
export interface SafeRequest {
  readonly operation: LegacyOperation;
  readonly request: CapturedRequest;
}

/** How many of ten requests look for something that isn't there. */
const ABSENT_OF_TEN = 2;

/**
 * Requests of the old API that change nothing, without end: health, traces of these lots and of
 * some that aren't there, logins of nobody unless there are to be none.
 *
 * @param options.acceptEncoding what every second round accepts; the others accept no coding
 */
export function* safeRequests(
  lotCodes: readonly string[],
  { hasLogins = true, acceptEncoding }: { hasLogins?: boolean; acceptEncoding?: string } = {},
): Generator<SafeRequest, never> {
  for (let number = 0;; number++) {
    const lots = Math.max(1, lotCodes.length);
    // Each lot is asked for in both ways.
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
