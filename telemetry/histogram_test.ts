import { strictEqual } from "node:assert/strict";
import { createHistogram } from "./histogram.ts";

Deno.test("a value is in the first bucket whose bound it doesn't exceed, and in all after it", () => {
  const histogram = createHistogram({
    name: "lotline_a_seconds",
    help: "A time.",
    labelNames: ["of"],
    buckets: [0.1, 1],
  });
  const series = histogram.withLabels('x"\\\n');
  for (const value of [0, 0.125, 1, 2]) series.observe(value);
  strictEqual(
    histogram.text(),
    String.raw`# HELP lotline_a_seconds A time.
# TYPE lotline_a_seconds histogram
lotline_a_seconds_bucket{of="x\"\\\n",le="0.1"} 1
lotline_a_seconds_bucket{of="x\"\\\n",le="1"} 3
lotline_a_seconds_bucket{of="x\"\\\n",le="+Inf"} 4
lotline_a_seconds_sum{of="x\"\\\n"} 3.125
lotline_a_seconds_count{of="x\"\\\n"} 4
`,
  );
});

Deno.test("the same labels are one series, and a histogram without labels has none", () => {
  const histogram = createHistogram({ name: "lotline_b_seconds", help: "B.", buckets: [1] });
  histogram.withLabels().observe(1);
  histogram.withLabels().observe(1);
  strictEqual(
    histogram.text().split("\n").slice(2).join("\n"),
    'lotline_b_seconds_bucket{le="1"} 2\nlotline_b_seconds_bucket{le="+Inf"} 2\n' +
      "lotline_b_seconds_sum 2\nlotline_b_seconds_count 2\n",
  );
});
