import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { freePort } from "../dev/free_port.ts";
import { createLog, type Log } from "../log.ts";
import { type MetricsSource, serveMetrics } from "./metrics_server.ts";
import { processMetrics } from "./process_metrics.ts";

const [hostname, silent] = ["127.0.0.1", createLog("error").log];

function start(sources: MetricsSource[], log: Log = silent) {
  const server = serveMetrics({ hostname, port: 0, sources, log });
  const url = `http://${hostname}:${server.port}`;
  return {
    read: async (path = "/metrics", method = "GET") => {
      const response = await fetch(url + path, { method });
      return { status: response.status, text: await response.text(), headers: response.headers };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

Deno.test("the metrics of all sources are one text, each line ended", async () => {
  await using metrics = start([
    { name: "one", text: () => Promise.resolve("a 1") },
    { name: "two", text: () => Promise.resolve("b 2\n\n") },
  ]);
  const { status, text, headers } = await metrics.read();
  strictEqual(status, 200);
  strictEqual(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  deepStrictEqual(text.split("\n").filter((line) => /^[a-z]/.test(line)), [
    "a 1",
    "b 2",
    'lotline_metrics_readable{source="one"} 1',
    'lotline_metrics_readable{source="two"} 1',
  ]);
  strictEqual(text.endsWith("\n") && !text.endsWith("\n\n"), true);
});

Deno.test("a source that fails is missing, the others are there, and the log says it once", async () => {
  const logged: string[] = [];
  await using metrics = start([
    { name: "broken", text: () => Promise.reject(new Error("no database")) },
    { name: "fine", text: () => Promise.resolve("b 2\n") },
  ], (_level, event) => void logged.push(event));
  const { status, text } = await metrics.read();
  strictEqual(status, 200);
  match(text, /^b 2$/m);
  match(text, /^lotline_metrics_readable\{source="broken"\} 0$/m);
  deepStrictEqual(logged, ["metrics_listening", "metrics_unreadable"]);
});

Deno.test("scrapers at the same time share one reading", async () => {
  let reads = 0;
  await using metrics = start([{ name: "one", text: () => Promise.resolve(`a ${++reads}\n`) }]);
  const texts = await Promise.all(Array.from({ length: 20 }, () => metrics.read()));
  deepStrictEqual(new Set(texts.map(({ text }) => text.split("\n", 1)[0])), new Set(["a 1"]));
});

Deno.test("other paths are 404 and other methods 405", async () => {
  await using metrics = start([]);
  strictEqual((await metrics.read("/")).status, 404);
  const refused = await metrics.read("/metrics", "POST");
  deepStrictEqual([refused.status, refused.headers.get("allow")], [405, "GET, HEAD"]);
});

Deno.test("a port that another process has is named in the error", async () => {
  const port = freePort();
  await using _first = serveMetrics({ hostname, port, sources: [], log: silent });
  await rejects(
    async () => {
      await using _second = serveMetrics({ hostname, port, sources: [], log: silent });
    },
    { name: "ListenError", message: new RegExp(`port ${port} .* set METRICS_PORT`) },
  );
});

Deno.test("each process tells its name, its release, its start and its memory", async () => {
  const text = await processMetrics("worker").text();
  match(text, /^lotline_build_info\{process="worker",version="\d+\.\d+\.\d+\+[0-9a-f]{8}"\} 1$/m);
  match(text, /^process_start_time_seconds 1\d{9}/m);
  match(text, /^process_resident_memory_bytes [1-9]\d{6,}$/m);
});
