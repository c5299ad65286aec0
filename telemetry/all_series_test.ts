import { deepStrictEqual, ok } from "node:assert/strict";
import { startApi, type TestApi } from "../testing/api.ts";
import { eventually } from "../testing/eventually.ts";
import { listedSeries, metricsMistakes, mistakesOfText } from "../testing/metrics_page.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { readSamples } from "../testing/prometheus/samples.ts";
import { rawRequest, sendRaw } from "../testing/raw_http.ts";
import { valuesOf } from "../testing/series.ts";
import type { TaskProcess } from "../testing/task_process.ts";
import { startWorker } from "../testing/worker.ts";

/** The text at METRICS_PORT=0 of a process. */
async function readMetrics({ log }: Pick<TaskProcess, "log">): Promise<string> {
  const line = await log.find((line) => line.includes('"event":"metrics_listening"'));
  let text = "";
  // A part that a busy machine doesn't read in time is there later.
  await eventually("all parts are readable", async () => {
    const response = await fetch(`http://127.0.0.1:${JSON.parse(line).port}/metrics`);
    text = await response.text();
    return !/_readable\{.*\} 0$/m.test(text);
  });
  return text;
}

/** What needs a permission, or something that runs. */
const ALWAYS_THERE = [
  "process_cpu_seconds_total",
  'lotline_heap_bytes{kind="used"}',
  "lotline_event_loop_delay_seconds_count",
  "lotline_clock_offset_seconds",
];

const ODD_LINES = [
  "PROPFIND /api/lots",
  `${"X".repeat(50)} /api/lots`,
  "OPTIONS /api/lots",
  "TRACE /",
  "DELETE /api/health",
  "HEAD /api/health",
  "GET /api/traceability/%zz",
  "GET /api/traceability/a%22%7D%0Ab",
  'GET /"}{x="y"}',
  ...Array.from({ length: 20 }, (_, at) => `GET /nothing/${at}`),
  ...Array.from({ length: 20 }, (_, at) => `M${at} /api/lots`),
];

async function sendOddRequests(api: TestApi): Promise<void> {
  const port = Number(new URL(api.url).port);
  for (const line of ODD_LINES) await sendRaw(port, rawRequest(line));
  await api.post("/api/lots", "{");
  await api.post("/api/lots", "x".repeat(200_000));
  await api.post("/api/lots", {}, { "content-type": "application/json; charset=latin1" });
}

Deno.test("every series of API and worker is listed in docs/metrics.md, has a name, a type and a sentence, and labels of fixed lists", async () => {
  await using valkey = await ownValkey();
  const environment = { METRICS_PORT: "0", VALKEY_URL: valkey.server.url };
  await using api = await startApi({ environment });
  const databaseUrl = api.database?.url ?? "";
  await using withReplica = await startApi({
    databaseUrl,
    environment: { ...environment, DATABASE_REPLICA_URL: databaseUrl },
  });
  await using worker = await startWorker({ databaseUrl, environment });

  await api.get("/api/health");
  await api.get("/api/traceability/NONE");
  await sendOddRequests(api);
  await sendOddRequests(withReplica);
  deepStrictEqual(await metricsMistakes("api", await readMetrics(withReplica)), []);
  deepStrictEqual(await metricsMistakes("worker", await readMetrics(worker)), []);

  for (const process of [api, worker]) {
    await eventually("the process has noted its clock", async () => {
      const values = valuesOf(await readMetrics(process));
      return ALWAYS_THERE.every((name) => values[name] !== undefined) &&
        values["lotline_valkey_usable"] === 1;
    });
  }
  const samples = await readSamples(await readMetrics(api));
  const counts = samples.filter(({ name }) => name === "lotline_request_duration_seconds_count");
  const operations = new Set(counts.map(({ labels }) => labels.operation));
  deepStrictEqual([...operations].sort(), ["createLot", "getHealth", "getTraceability", "unknown"]);
  const total = counts.reduce((sum, { value }) => sum + value, 0);
  ok(total >= ODD_LINES.length + 5, `${total} requests are counted`);
});

Deno.test("a wrong name, type, unit or help is a mistake", () => {
  const family = (name: string, type: string, help = "Some sentence.") =>
    mistakesOfText(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
  deepStrictEqual(family("lotline_jobs", "gauge"), []);
  deepStrictEqual(family("lotline_jobs_total", "counter"), []);
  for (
    const [name, type, help] of [
      ["lotline_jobs", "counter"],
      ["lotline_jobs_total", "gauge"],
      ["lotline_jobs", "summary"],
      ["lotline_wait_ms", "gauge"],
      ["lotline_wait", "histogram"],
      ["lotline_wait_count", "gauge"],
      ["jobs", "gauge"],
      ["lotline_Jobs", "gauge"],
      ["lotline_jobs", "gauge", "No sentence"],
      ["lotline_jobs", "gauge", ""],
    ] as const
  ) ok(family(name, type, help).length > 0, `${name} ${type} ${help}`);
  const twice = "# HELP lotline_a A.\n# TYPE lotline_a gauge\n";
  ok(mistakesOfText(twice + twice).length > 0);
});

Deno.test("a series is listed for the processes of its table", () => {
  const page = "## All processes\n| `a{b,c}` | x |\n## API\n| `d` | x |\n## Worker\n| `e` | x |\n";
  deepStrictEqual(listedSeries(page, "api"), [
    { name: "a", labels: ["b", "c"] },
    { name: "d", labels: [] },
  ]);
  deepStrictEqual(listedSeries(page, "gateway").map(({ name }) => name), ["a"]);
});
