import { deepStrictEqual, throws } from "node:assert/strict";
import { cacheReadsOf } from "./cached_lotline.ts";
import { loadOf as valkeyLoadOf } from "./valkey_alone.ts";

const CSV = `"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms",` +
  `"p99_latency_ms","max_latency_ms"
"GET bench:answer","40000.00","0.388","0.088","0.375","0.615","0.815","3.079"
`;

Deno.test("what Valkey's benchmark writes says how long it took, and what one request takes", () => {
  const { requests, seconds, p50Ms, p99Ms } = valkeyLoadOf(CSV, 100_000);
  deepStrictEqual({ requests, seconds, p50Ms, p99Ms }, {
    requests: 100_000,
    seconds: 2.5,
    p50Ms: 0.375,
    p99Ms: 0.815,
  });
  throws(() => valkeyLoadOf("WARNING: no server\n", 1), /wrote no rps/);
});

Deno.test("hits are told from all other looks into the cache", () => {
  const metrics = `# TYPE lotline_trace_cache_reads_total counter
lotline_trace_cache_reads_total{outcome="hit"} 90
lotline_trace_cache_reads_total{outcome="miss"} 9
lotline_trace_cache_reads_total{outcome="bypassed"} 1
lotline_trace_cache_stores_total{outcome="stored"} 9`;
  deepStrictEqual(cacheReadsOf(metrics), { all: 100, hits: 90 });
  deepStrictEqual(cacheReadsOf(""), { all: 0, hits: 0 });
});
