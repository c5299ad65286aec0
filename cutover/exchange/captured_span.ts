import type { Span } from "@opentelemetry/api";
import type { CapturedRequest } from "./exchange.ts";

/*
 * The span of a client's request, for the requests that are sent later to compare. Beside the captured
 * request: what is in it may be recorded.
 */

const spans = new WeakMap<CapturedRequest, Span>();

export function noteSpan(request: CapturedRequest, span: Span): void {
  spans.set(request, span);
}

/** Undefined when traces are off. */
export function spanOf(request: CapturedRequest): Span | undefined {
  return spans.get(request);
}
