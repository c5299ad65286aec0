import { endSpan, isTracing, startSpan, traceparentOf } from "../../telemetry/tracing.ts";
import { spanOf } from "../exchange/captured_span.ts";
import type { CapturedRequest, Exchange, HeaderLines } from "../exchange/exchange.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import type { Upstream } from "../exchange/route.ts";

/**
 * Sends a request to compare, in a span that is marked and belongs to the client's request. The old
 * server gets no header of it.
 *
 * @param send called with the headers that carry the trace
 */
export async function inComparisonSpan(
  request: CapturedRequest,
  { operation, upstream, isDryRun }: {
    readonly operation: LegacyOperation;
    readonly upstream: Upstream;
    readonly isDryRun: boolean;
  },
  send: (fields: HeaderLines) => Promise<Exchange>,
): Promise<Exchange> {
  const parent = isTracing ? spanOf(request) : undefined;
  if (parent === undefined) return await send([]);
  const span = startSpan(`${isDryRun ? "dry run" : "shadow"} ${operation}`, {
    kind: "client",
    attributes: {
      "lotline.shadow": true,
      "lotline.dry_run": isDryRun,
      "lotline.operation": operation,
      "lotline.upstream": upstream,
    },
    parent,
  });
  const sent = await send(
    span !== undefined && upstream === "service" ? [["traceparent", traceparentOf(span)]] : [],
  );
  endSpan(span, "failure" in sent ? sent.failure : undefined);
  return sent;
}
