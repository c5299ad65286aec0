import { deepStrictEqual, strictEqual } from "node:assert/strict";
import {
  activeTraceId,
  activeTraceparent,
  inSpan,
  isTracing,
  readTraceparent,
  startSpan,
} from "./tracing.ts";

const [TRACE, SPAN] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];

Deno.test("a stored traceparent is read, and any other text is none", () => {
  deepStrictEqual(readTraceparent(`00-${TRACE}-${SPAN}-01`), {
    traceId: TRACE,
    spanId: SPAN,
    traceFlags: 1,
    isRemote: true,
  });
  strictEqual(readTraceparent(`00-${TRACE}-${SPAN}-00`)?.traceFlags, 0);
  for (
    const text of [
      "",
      "null",
      `00-${TRACE}-${SPAN}`,
      `00-${TRACE.toUpperCase()}-${SPAN}-01`,
      `00-${"0".repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      `01-${TRACE}-${SPAN}-01`,
      `00-${TRACE}-${SPAN}-01-more`,
      ` 00-${TRACE}-${SPAN}-01`,
    ]
  ) strictEqual(readTraceparent(text), undefined, text);
});

// The tests run without OTEL_DENO.
Deno.test("without the setting there is no span and nothing to carry, and work runs as it is", async () => {
  strictEqual(isTracing, false);
  strictEqual(startSpan("one"), undefined);
  const seen = await inSpan(
    "one",
    {},
    (span) => Promise.resolve([span, activeTraceId(), activeTraceparent()]),
  );
  deepStrictEqual(seen, [undefined, undefined, undefined]);
});
