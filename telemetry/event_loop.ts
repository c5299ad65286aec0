import { createHistogram } from "./histogram.ts";
import type { MetricsSource } from "./metrics_server.ts";

/** In ms. These looks take 0.3 % of a core of an idle process. */
const EVERY_MS = 100;

/**
 * How late this process's event loop is, seen by a timer that runs until disposed. The monitor of
 * `node:perf_hooks` in Deno 2.9.6 shows 1 ms after the loop stood still for 300 ms.
 */
export function eventLoopMetrics(): MetricsSource {
  const delays = createHistogram({
    name: "lotline_event_loop_delay_seconds",
    help: "How late a timer of this process was, looked at every 100 ms.",
  });
  const series = delays.withLabels();
  let timer: ReturnType<typeof setTimeout>;
  const look = () => {
    const due = performance.now() + EVERY_MS;
    timer = setTimeout(() => {
      // A timer may be early by a part of a millisecond.
      series.observe(Math.max(0, performance.now() - due) / 1_000);
      look();
    }, EVERY_MS);
    Deno.unrefTimer(timer);
  };
  look();
  return {
    name: "event_loop",
    text: () => Promise.resolve(delays.text()),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
