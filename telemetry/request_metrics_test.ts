import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { startApi, type TestApi } from "../testing/api.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { openRawClient } from "../testing/raw_client.ts";
import { named, valuesOf } from "../testing/series.ts";
import { createRequestMetrics } from "./request_metrics.ts";

async function startMeasuredApi() {
  const api = await startApi({ environment: { METRICS_PORT: "0" } });
  const line = await api.log.find((line) => line.includes('"event":"metrics_listening"'));
  const url = `http://127.0.0.1:${JSON.parse(line).port}/metrics`;
  return {
    api,
    read: async () => valuesOf(await (await fetch(url)).text()),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

const COUNT = "lotline_request_duration_seconds_count";
/** How many requests an operation had by status. */
const countsOf = (values: Record<string, number>) =>
  Object.fromEntries(
    Object.entries(named(values, COUNT)).map(([key, value]) => [
      key.replace(/.*operation="(\w+)",status="(\w+)".*/, "$1 $2"),
      value,
    ]),
  );

const portOf = (api: TestApi) => Number(new URL(api.url).port);

Deno.test("each request counts for its operation and status, a refused one and one whose client left too", async () => {
  await using measured = await startMeasuredApi();
  const { api, read } = measured;
  const { text } = await api.get("/metrics");
  deepStrictEqual(text.match(/lotline_(request_|requests_in|pool|event|valkey|clock)\w*/g), null);
  await api.get("/api/health");
  await api.get("/api/health");
  await api.get("/api/traceability/NONE");
  await api.get("/nowhere");
  await api.send("/api/lots", { method: "DELETE" });
  await api.post("/api/lots", "{");
  await api.post("/api/lots", { lot_code: "A" });
  {
    using client = openRawClient(
      portOf(api),
      "POST /api/lots HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" +
        "Content-Length: 100\r\n\r\n{",
    );
    await eventually(
      "it is in flight",
      async () => (await read())["lotline_requests_in_flight"] === 1,
    );
    void client;
  }
  await eventually("it has gone", async () => (await read())["lotline_requests_in_flight"] === 0);
  await eventually("it is counted", async () => countsOf(await read())["createLot 499"] === 1);
  deepStrictEqual(countsOf(await read()), {
    "getMetrics 200": 1,
    "getHealth 200": 2,
    "getTraceability 404": 1,
    "unknown 404": 1,
    "unknown 405": 1,
    "createLot 400": 1,
    "createLot 201": 1,
    "createLot 499": 1,
  });
});

Deno.test("a request that waits for a lock is in flight, and takes its time", async () => {
  await using measured = await startMeasuredApi();
  const { api, read } = measured;
  const { sql } = api.database ?? {};
  ok(sql !== undefined);
  await using lock = await openTransaction(sql, "lock table lots");
  const began = performance.now();
  const response = api.post("/api/lots", { lot_code: "A" });
  await eventually(
    "it is in flight",
    async () => (await read())["lotline_requests_in_flight"] === 1,
  );
  await eventually("it has waited", () => Promise.resolve(performance.now() - began > 300));
  ok(lock.isOpen);
  await lock[Symbol.asyncDispose]();
  const labels = `{operation="createLot",status="${(await response).status}"`;
  await eventually("it is counted", async () => (await read())[`${COUNT}${labels}}`] === 1);
  const values = await read();
  ok((values[`lotline_request_duration_seconds_sum${labels}}`] ?? 0) > 0.25, labels);
  strictEqual(values[`lotline_request_duration_seconds_bucket${labels},le="0.1"}`], 0);
  strictEqual(values["lotline_requests_in_flight"], 0);
});

Deno.test("a status that is in no list is shown as other", async () => {
  const metrics = createRequestMetrics();
  for (const status of [200, 418, 599]) metrics.responded("getHealth", status, 1);
  deepStrictEqual(countsOf(valuesOf(await metrics.text())), {
    "getHealth 200": 1,
    "getHealth other": 2,
  });
});
