import type { Answer } from "./exchange.ts";
import { CLOCKS_APART_MS, operationOf } from "./verify.ts";
import type { Exchange, Recordings } from "./recordings.ts";
import type { LiveRule } from "../compare/approvals.ts";
import { isWeakEtag } from "../compare/compared_headers.ts";
import type { ApprovalOf } from "./verify_safe.ts";
import { compare } from "../compare/compare.ts";
import type { CapturedAnswer, CapturedRequest, HeaderLines } from "../exchange/exchange.ts";
import { OLD_OPERATIONS } from "../exchange/operations.ts";

/**
 * Which approvals make an answer that differs from one recorded live pass, by the rules that the
 * gateway goes by.
 */
export function liveApprovalOf(
  rules: readonly LiveRule[],
  { recorded }: Pick<Recordings, "recorded">,
): ApprovalOf {
  return (exchange, answer) => {
    const name = operationOf(exchange.request.method, exchange.request.path);
    const operation = OLD_OPERATIONS.find((one) => one === name);
    if (operation === undefined) return undefined;
    const { outcome, approvals } = compare({
      operation,
      request: requestOf(exchange),
      legacy: recordedAnswerOf(exchange, answer),
      service: captured(answer.status, answer.headers, answer.etag, answer.body),
      times: {
        from: Date.parse(recorded.from),
        to: Date.now(),
        clocksApartMs: CLOCKS_APART_MS,
      },
    }, rules);
    return outcome === "approved" ? approvals.join(", ") : undefined;
  };
}

function requestOf({ request }: Exchange): CapturedRequest {
  return {
    method: request.method,
    target: request.path,
    headers: Object.entries(request.headers),
    body: new TextEncoder().encode(request.body ?? ""),
  };
}

/** Recordings say only that there was an ETag: it counts as the one that is there now. */
function recordedAnswerOf({ response }: Exchange, { etag }: Answer): CapturedAnswer {
  const was = response.etag && (isWeakEtag(etag) ? etag : 'W/"recorded"');
  return captured(response.status, response.headers, was, response.body);
}

function captured(
  status: number,
  headers: Readonly<Record<string, string>>,
  etag: string | undefined,
  body: string,
): CapturedAnswer {
  const lines: HeaderLines = [
    ...Object.entries(headers),
    ...(etag === undefined ? [] : [["etag", etag] as const]),
  ];
  return { status, headers: lines, body: new TextEncoder().encode(body), ms: 0 };
}
