import type { CapturedRequest, CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import { type LegacyOperation, OPERATIONS } from "../exchange/operations.ts";
import type { Pair } from "../compare/compare.ts";
import { bytesOf } from "../../testing/raw_http.ts";

/** A request as the gateway captures it. */
export function captured(
  method: string,
  target: string,
  body: string | Uint8Array = "",
  headers: HeaderLines = body === "" ? [] : [["content-type", "application/json"]],
): CapturedRequest {
  return { method, target, headers, body: typeof body === "string" ? bytesOf(body) : body };
}

/** A request for an operation, of the lot RAW-BEEF-001 where it is for one. */
export function requestOf(
  operation: LegacyOperation,
  body = "",
  headers?: HeaderLines,
): CapturedRequest {
  const { method = "", path = "" } = OPERATIONS.find((one) => one.operation === operation) ?? {};
  return captured(method, path.replace("{lotCode}", "RAW-BEEF-001"), body, headers);
}

/** A response with the headers that a success of either upstream has. */
export function responseOf(
  status: number,
  body: string,
  headers: Record<string, string | undefined> = {},
): CapturedResponse {
  const all = {
    "access-control-allow-origin": "*",
    "content-type": "application/json; charset=utf-8",
    ...(status < 400 && { etag: 'W/"a-b"' }),
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, value]]
  );
  return { status, headers: lines, body: bytesOf(body), ms: 1 };
}

/** The moment of the exchanges of {@link pairOf}, in ms since 1970. */
export const AT = Date.parse("2026-11-25T08:00:00.000Z");

/** Two responses to one request, captured at {@link AT}. */
export function pairOf(
  operation: Pair["operation"],
  request: CapturedRequest,
  legacy: CapturedResponse,
  service: CapturedResponse,
): Pair {
  const times = { from: AT, to: AT + 50, clocksApartMs: 300_000 };
  return { operation, request, legacy, service, times };
}
