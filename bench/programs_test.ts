import { deepStrictEqual, match, throws } from "node:assert/strict";
import { cacheReadsOf } from "./cached_lotline.ts";
import { loadOf, lotScript, traceScript } from "./pgbench.ts";

Deno.test("hits are separated from all other cache reads", () => {
  const metrics = `# TYPE lotline_trace_cache_reads_total counter
lotline_trace_cache_reads_total{outcome="hit"} 90
lotline_trace_cache_reads_total{outcome="miss"} 9
lotline_trace_cache_reads_total{outcome="bypassed"} 1
lotline_trace_cache_stores_total{outcome="stored"} 9`;
  deepStrictEqual(cacheReadsOf(metrics), { all: 100, hits: 90 });
  deepStrictEqual(cacheReadsOf(""), { all: 0, hits: 0 });
});

Deno.test("pgbench's output and log have the rate and the duration of one transaction", () => {
  const said = `transaction type: trace.sql
number of transactions actually processed: 4
number of failed transactions: 0 (0.000%)
latency average = 1.000 ms
tps = 8.000000 (without initial connection time)
`;
  const log = "0 1 1000 0 1795731114 1\n1 1 3000 0 1795731114 2\n0 2 2000 0 1795731114 3\n" +
    "1 2 9000 0 1795731114 4\n";
  const { requests, seconds, p50Ms, p99Ms, refused } = loadOf(said, log);
  deepStrictEqual({ requests, seconds, p50Ms, p99Ms, refused }, {
    requests: 4,
    seconds: 0.5,
    p50Ms: 2,
    p99Ms: 9,
    refused: 0,
  });
  throws(() => loadOf("pgbench: no", log), /said something else/);
});

Deno.test("pgbench's scripts have variables in place of the parameters of Lotline's statements", async () => {
  match(
    traceScript(7),
    /random\(1, 7\)\n[^$]* where lot_code = any\(\(select array\[:lot_code::text\]\)::text\[\]\)[^$]*;\n$/,
  );
  match(
    await lotScript(),
    /values \(:lot_code::text::text,[^$]*:metadata::text::jsonb\) returning /,
  );
});
