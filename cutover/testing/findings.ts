import type { Outcome } from "../evidence/coverage.ts";
import type { Finding } from "../evidence/evidence.ts";
import type { CapturedResponse } from "../exchange/exchange.ts";
import type { LegacyOperation, Operation } from "../exchange/operations.ts";
import type { Mode, Route } from "../exchange/route.ts";

/** A route as the gateway's server passes it to observers. */
export function routeIn(
  operation: Operation,
  epoch: number,
  mode: Mode = { name: "shadow" },
): Route {
  return { operation, mode, epoch, samplePercent: 100, latch: undefined };
}

/** A comparison with this finding, without the compared exchange. */
export function findingOf(
  operation: LegacyOperation,
  epoch: number,
  outcome: Outcome,
  approvals: readonly string[] = [],
): Finding {
  return { operation, route: routeIn(operation, epoch), outcome, approvals, differences: [] };
}

/** A comparison that found a difference at this place, with the compared exchange. */
export function differenceAt(
  place: string,
  { operation = "getTraceability", epoch = 1, body = "{}", status = 200 }: {
    operation?: LegacyOperation;
    epoch?: number;
    body?: string;
    status?: number;
  } = {},
): Finding {
  const response = (text: string): CapturedResponse => ({
    status,
    headers: [["content-type", "application/json"]],
    body: new TextEncoder().encode(text),
    ms: 3,
  });
  return {
    operation,
    route: routeIn(operation, epoch),
    outcome: "different",
    approvals: [],
    differences: [{ place, legacy: "540.0", service: "540" }],
    exchange: {
      mode: "shadow",
      request: {
        method: "GET",
        target: "/api/traceability/A?x=1",
        headers: [["host", "plant"]],
        body: new Uint8Array(),
      },
      legacy: response(body),
      service: response(body),
    },
  };
}
