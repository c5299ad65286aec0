import type { CapturedRequest } from "./exchange.ts";
import type { OldOperation } from "./operations.ts";

/** A request that changes nothing, wherever it goes. */
export interface HarmlessRequest {
  readonly operation: OldOperation;
  readonly request: CapturedRequest;
}

/** How many of ten requests look for something that isn't there. */
const ABSENT_OF_TEN = 2;

/**
 * Requests of the old API that change nothing, without end: health, traces of these lots and of
 * some that aren't there, logins of nobody.
 */
export function* harmlessRequests(lotCodes: readonly string[]): Generator<HarmlessRequest, never> {
  for (let number = 0;; number++) {
    yield { operation: "getHealth", request: get("/api/health") };
    const code = lotCodes[number % Math.max(1, lotCodes.length)];
    const isAbsent = code === undefined || number % 10 < ABSENT_OF_TEN;
    const asked = isAbsent ? `NO-SUCH-LOT-${crypto.randomUUID()}` : code;
    yield {
      operation: "getTraceability",
      request: get(`/api/traceability/${encodeURIComponent(asked)}`),
    };
    const email = `nobody-${crypto.randomUUID()}@example.invalid`;
    yield {
      operation: "login",
      request: {
        method: "POST",
        target: "/api/login",
        headers: [["accept", "application/json"], ["content-type", "application/json"]],
        body: new TextEncoder().encode(JSON.stringify({ email })),
      },
    };
  }
}

function get(target: string): CapturedRequest {
  return {
    method: "GET",
    target,
    headers: [["accept", "application/json"]],
    body: new Uint8Array(),
  };
}
