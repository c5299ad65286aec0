import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type postgres from "postgres";
import { migrate } from "../../db/migrate.ts";
import { startLegacy } from "../legacy/server.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { ownValkey } from "../../testing/own_valkey.ts";
import { unusedAddress } from "../../testing/test_server.ts";
import { startWorker } from "../../testing/worker.ts";
import { loadApprovals } from "../compare/approvals.ts";
import type { ReceivedResponse } from "./exchange.ts";
import { passed, record, verify } from "./verify.ts";
import { formatEvidence, formatReport } from "../report/verify_report.ts";
import { startFaultyProxy } from "../testing/planted_fault.ts";
import { loadRecordings } from "./recordings.ts";
import { listTablesWithOtherRows, loadSeed } from "../../dev/seed.ts";

const recordings = await loadRecordings();
const approvals = await loadApprovals();
const seed = await loadSeed();
const ALL_THE_SAME = "147 the same, 0 changed as approved, 0 wrong, of 147 exchanges";

Deno.test("the old server's stand-in returns every recorded response, before and after migrate", async () => {
  await using database = await freshDatabase({ migrated: false });
  await createOldSchema(database.sql);
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const subject = { base: old.url, sql: database.sql, seed };

  strictEqual(formatReport(await verify(subject, recordings)), ALL_THE_SAME);
  await migrate(database.url, () => {});
  strictEqual(formatReport(await verify(subject, recordings)), ALL_THE_SAME);
});

for (const major of [15, 17] as const) {
  Deno.test(`Lotline on PostgreSQL ${major}: every response is the same or changed as approved`, async () => {
    await using database = await freshDatabase({ major });
    await using api = await startApi({ databaseUrl: database.url });
    const subject = { base: api.url, sql: database.sql, seed };

    const report = await verify(subject, recordings, approvals);

    ok(passed(report), formatReport(report));
    strictEqual(
      formatReport(report),
      "97 the same, 50 changed as approved, 0 wrong, of 147 exchanges",
    );
    deepStrictEqual(await listTablesWithOtherRows(database.sql, seed), []);
  });
}

Deno.test("with the cache in use and the old server writing at the same time, every response is the same or changed as approved", async () => {
  await using database = await freshDatabase();
  await using valkey = await ownValkey();
  const environment = { VALKEY_URL: valkey.server.url };
  await using _worker = await startWorker({ databaseUrl: database.url, environment });
  await using api = await startApi({ databaseUrl: database.url, environment });
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  await using writing = keepWriting(old.url);

  const report = await verify({ base: api.url, sql: database.sql, seed }, recordings, approvals);

  ok(passed(report), formatReport(report));
  strictEqual(report.outcomes.length, 147);
  ok(
    writing.written() > 100,
    `${writing.written()} lots and decisions were written at the same time`,
  );
  const { text } = await api.get("/metrics");
  match(text, /cache_stores_total\{outcome="stored"\} [1-9]/, "the cache must have been used");
});

/** Stores lots and QC decisions through the old server's stand-in until it is disposed of. */
function keepWriting(base: string): AsyncDisposable & { written(): number } {
  let isOver = false;
  let written = 0;
  const write = async () => {
    while (!isOver) {
      const path = written % 2 === 0 ? "/api/lots" : "/api/qc-decisions";
      const body = written % 2 === 0 ? { lot_code: `BESIDE-${written}` } : { decision: "PASS" };
      const response = await fetch(base + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      await response.body?.cancel();
      written++;
    }
  };
  const writing = write();
  return {
    written: () => written,
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      await writing;
    },
  };
}

const FAULTS: [
  what: string,
  spoil: (response: ReceivedResponse) => ReceivedResponse,
  line: RegExp,
][] = [
  [
    "one number's scale is lost",
    (response) => ({ ...response, body: response.body.replaceAll('"540.0"', '"540"') }),
    /^WRONG trace: finished good #0 \(GET .*\): body\..*weight_kg: "540\.0" -> "540"/m,
  ],
  [
    "a parent is missing",
    (response) => ({
      ...response,
      body: response.body.replace(/"parents":\[.*\],"c/, '"parents":[],"c'),
    }),
    /^WRONG .*: body\.parents\[0\]: .* -> \(none\)/m,
  ],
  [
    "the CORS header is missing",
    ({ headers: { "access-control-allow-origin": _gone, ...headers }, ...response }) => ({
      ...response,
      headers,
    }),
    /access-control-allow-origin: \* -> \(none\)/,
  ],
  [
    "the ETag is missing",
    (response) => ({ ...response, etag: undefined }),
    /header etag: .* -> \(none\)/,
  ],
  ["the status is another", (response) => ({ ...response, status: 203 }), /status: 200 -> 203/],
];

Deno.test("every alteration of a server's responses is found", async () => {
  const one = recordings.scenarios.filter(({ name }) => name === "trace: finished good");
  await using database = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  for (const [what, spoil, line] of FAULTS) {
    await using proxy = await startFaultyProxy(old.url, spoil);
    const subject = { base: proxy.url, sql: database.sql, seed };
    const report = await verify(subject, { ...recordings, scenarios: one });
    strictEqual(passed(report), false, what);
    match(formatReport(report), line, what);
  }
  await using honest = await startFaultyProxy(old.url, (response) => response);
  const subject = { base: honest.url, sql: database.sql, seed };
  ok(passed(await verify(subject, { ...recordings, scenarios: one })));
});

Deno.test("an unavailable server counts as wrong responses, not as a crash", async () => {
  await using database = await freshDatabase();
  const base = unusedAddress();
  const some = recordings.scenarios.filter(({ name }) => name.startsWith("login: "));
  const subject = { base, sql: database.sql, seed };
  const report = await verify(subject, { ...recordings, scenarios: some }, approvals);
  match(formatReport(report), /^WRONG login: no email #0 \(.*\): no response: .*ECONNREFUSED/m);
  match(formatReport(report), /^0 the same, 0 changed as approved, 26 wrong, of 26 exchanges/m);
});

Deno.test("unused approvals fail the check, and are named", async () => {
  const some = recordings.scenarios.filter(({ name }) => name.startsWith("lot: no "));
  await using database = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const subject = { base: old.url, sql: database.sql, seed };
  const report = await verify(subject, { ...recordings, scenarios: some }, approvals);
  strictEqual(passed(report), false);
  const responses = approvals.flatMap((entry) => entry.responses);
  strictEqual(report.unused.length, responses.length);
  match(formatReport(report), /UNUSED approval client-fault: "lot: no code #0" needs no approval/);
});

Deno.test("a new recording agrees with the server that it was made from", async () => {
  const some = recordings.scenarios.filter(({ name }) => /^(lot|health|login): /.test(name));
  await using database = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  const subject = { base: old.url, sql: database.sql, seed };
  const again = await record(subject, some);
  const report = await verify(subject, again);
  ok(passed(report), formatReport(report));
});

Deno.test("the evidence counts exchanges by operation, and changes by approval", async () => {
  const some = recordings.scenarios.filter(({ name }) => /^(trace|preflight|root)/.test(name));
  await using database = await freshDatabase();
  await using api = await startApi({ databaseUrl: database.url });
  const subject = { base: api.url, sql: database.sql, seed };
  const report = await verify(subject, { ...recordings, scenarios: some }, approvals);
  const evidence = formatEvidence(report, api.url, new Date(0));
  match(evidence, /^\| getTraceability \| 36 \| 34 \| client-fault: 1, json-errors: 1 \| 0 \|$/m);
  match(evidence, /^\| preflight \| 2 \| 2 \| 0 \| 0 \|$/m);
  // The path of a trace without a code matches no operation.
  match(evidence, /^\| other \| 2 \| 0 \| json-errors: 2 \| 0 \|$/m);
});

async function createOldSchema(sql: postgres.Sql): Promise<void> {
  const file = new URL("../../db/migrations/0001_old_schema.sql", import.meta.url);
  await sql.unsafe(await Deno.readTextFile(file));
}
