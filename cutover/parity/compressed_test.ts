import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
// @ts-types="@types/compression"
import compression from "compression";
import { startLegacy } from "../legacy/server.ts";
import { startApi } from "../../testing/api.ts";
import { COMPRESSING, startCompressingServer } from "../testing/compressing_server.ts";
import { freshDatabase } from "../../testing/database.ts";
import { loadApprovals } from "../compare/approvals.ts";
import { send } from "./exchange.ts";
import { loadRecordings, type Scenario } from "./recordings.ts";
import { loadSeed } from "../../dev/seed.ts";
import { passed, record, verify } from "./verify.ts";
import { formatReport } from "../report/verify_report.ts";

const seed = await loadSeed();
const GET = { method: "GET", path: "/api/traceability/MIX-BATCH-88", headers: {} };

/** The recorded requests of a kind, from clients that accept every coding. */
async function scenarios(kind: RegExp): Promise<Scenario[]> {
  const { scenarios } = await loadRecordings();
  return scenarios.filter(({ name }) => kind.test(name)).map(({ name, steps }) => ({
    name,
    steps: steps.map(({ request, response }) => ({
      request: {
        ...request,
        headers: { ...request.headers, "accept-encoding": "gzip, deflate, br, zstd" },
      },
      response,
    })),
  }));
}

Deno.test("a server that compresses is recorded as text, and Lotline passes against the recordings", async () => {
  await using database = await freshDatabase();
  await using old = await startLegacy({
    databaseUrl: database.url,
    port: 0,
    before: [compression({ threshold: 0 })],
  });
  await using api = await startApi({ databaseUrl: database.url });
  const requests = await scenarios(/^(trace|lot|qc|health): /);
  const names = requests.map(({ name }) => name);
  const approvals = (await loadApprovals()).map((entry) => ({
    ...entry,
    responses: entry.responses.filter(({ exchange }) =>
      names.includes(exchange.replace(/ #\d+$/, ""))
    ),
  }));

  const recordings = await record({ base: old.url, sql: database.sql, seed }, requests);
  const responses = recordings.scenarios.flatMap(({ steps }) => steps);
  ok(responses.some(({ response }) => response.headers.vary === "Accept-Encoding"));
  const traced = responses.find(({ request }) => request.path === GET.path)?.response.body ?? "";
  ok(traced.includes('"lot_code":"MIX-BATCH-88"'), traced);

  const report = await verify({ base: api.url, sql: database.sql, seed }, recordings, approvals);
  ok(passed(report), formatReport(report));
  const again = await verify({ base: old.url, sql: database.sql, seed }, recordings);
  ok(passed(again), formatReport(again));
});

Deno.test("a response is decoded in every coding, and refused if its bytes don't match its coding", async () => {
  await using database = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const plain = await send(old.url, GET);
  const request = { ...GET, headers: { "accept-encoding": "*" } };
  for (const how of Object.values(COMPRESSING)) {
    await using server = await startCompressingServer(old.url, how);
    const { body, status } = await send(server.url, request);
    deepStrictEqual([status, body], [plain.status, plain.body], how.coding);
  }
  const cut = { coding: "gzip", pack: (body: Uint8Array) => gzipSync(body).subarray(0, -1) };
  await using server = await startCompressingServer(old.url, cut);
  const { status, body } = await send(server.url, request);
  strictEqual(status, 0);
  match(body, /^a response that isn't gzip$/);
});
