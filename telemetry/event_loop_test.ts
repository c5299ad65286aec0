import { ok, strictEqual } from "node:assert/strict";
import { eventually } from "../testing/eventually.ts";
import { valuesOf } from "../testing/series.ts";
import { eventLoopMetrics } from "./event_loop.ts";

const NAME = "lotline_event_loop_delay_seconds";

Deno.test("an event loop that stood still is seen to be late", async () => {
  const metrics = eventLoopMetrics();
  try {
    const read = async () => valuesOf(await metrics.text());
    await eventually("it has looked", async () => ((await read())[`${NAME}_count`] ?? 0) > 2);
    const before = await read();
    for (const end = performance.now() + 600; performance.now() < end;);
    const late = (values: Record<string, number>) =>
      (values[`${NAME}_count`] ?? 0) - (values[`${NAME}_bucket{le="0.5"}`] ?? 0);
    await eventually("the delay is seen", async () => late(await read()) > late(before));
    ok(((await read())[`${NAME}_sum`] ?? 0) > 0.5);
  } finally {
    metrics[Symbol.dispose]?.();
  }
  const { [`${NAME}_count`]: count } = valuesOf(await metrics.text());
  await new Promise((resolve) => setTimeout(resolve, 200));
  strictEqual(valuesOf(await metrics.text())[`${NAME}_count`], count);
});
