import type { Span } from "@opentelemetry/api";
import {
  endSpan,
  isTracing,
  startSpan,
  takeServerSpan,
  traceparentOf,
} from "../../telemetry/tracing.ts";
import { noteSpan } from "../exchange/captured_span.ts";
import type { CapturedRequest } from "../exchange/exchange.ts";
import type { Upstream } from "../exchange/route.ts";

/** W3C's minimum that is to be passed on: https://www.w3.org/TR/trace-context/#tracestate-limits */
const MAX_TRACESTATE = 512;

/** The trace of a request, in its `request` event; undefined when traces are off. */
export function beginRequestTrace(): RequestTrace | undefined {
  const span = isTracing ? takeServerSpan() : undefined;
  return span && new RequestTrace(span);
}

/** The spans of one client's request: Deno's for the server, and one for each time it is sent on. */
class RequestTrace {
  readonly #server: Span;
  #sending: Span | undefined;

  constructor(server: Span) {
    this.#server = server;
  }

  get id(): string {
    return this.#server.spanContext().traceId;
  }

  sentTo(upstream: Upstream, method: string): void {
    this.upstreamEnded();
    this.#sending = startSpan(`${method} ${upstream}`, {
      kind: "client",
      attributes: { "lotline.upstream": upstream },
      parent: this.#server,
    });
  }

  upstreamEnded(failure?: string): void {
    endSpan(this.#sending, failure);
    this.#sending = undefined;
  }

  /**
   * The header lines for an upstream. Lotline gets this trace, whatever the client sent. The old server
   * gets what the client sent.
   *
   * @param lines names and values in turn
   */
  linesFor(upstream: Upstream, lines: string[]): string[] {
    if (upstream === "legacy" || this.#sending === undefined) return lines;
    const traceparent = traceparentOf(this.#sending);
    const kept: string[] = [];
    let isContinued = false;
    let states = "";
    for (let at = 0; at + 1 < lines.length; at += 2) {
      const [name = "", value = ""] = [lines[at], lines[at + 1]];
      const lower = name.toLowerCase();
      if (lower === "traceparent") isContinued = value.includes(this.id);
      else if (lower === "tracestate") states += `${states && ","}${value}`;
      // Nothing reads it.
      else if (lower !== "baggage") kept.push(name, value);
    }
    kept.push("traceparent", traceparent);
    if (isContinued && states !== "" && states.length <= MAX_TRACESTATE) {
      kept.push("tracestate", states);
    }
    return kept;
  }

  captured(request: CapturedRequest): CapturedRequest {
    noteSpan(request, this.#server);
    return request;
  }

  /** Before the response: Deno ends the server's span with it. */
  describe(method: string, operation: string | undefined, requestId: string): void {
    this.#server.updateName(`${method} ${operation ?? "unknown"}`).setAttributes({
      "lotline.operation": operation ?? "unknown",
      "lotline.request_id": requestId,
    });
  }

  /** @param departure how the client left, if it did */
  finish(departure: string | undefined): void {
    this.upstreamEnded(departure ?? "cancelled");
  }
}
