import { rejects, strictEqual } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import type { Sql } from "../db/sql.ts";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { createLargeTraces, LARGE_TRACE_LIMITS } from "../routes/large_traces.ts";
import { startApi } from "../testing/api.ts";
import { openLinkTo } from "../testing/black_hole.ts";
import { makeAuthority } from "../testing/certificates.ts";
import { eventually, withDeadline } from "../testing/eventually.ts";
import {
  allCountOnce,
  createEffects,
  enqueueCounts,
  startJobWorker,
} from "../testing/job_workers.ts";
import { tlsPostgres } from "../testing/postgres_servers.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";

// Each process recovers from a network that loses all bytes without closing a connection.

const folder = await temporaryFolder();
const authority = await makeAuthority(folder.path);
const postgres = await tlsPostgres(await authority.issue({ names: ["IP:127.0.0.1"] }));
const { url } = postgres.server;
await migrate(url, () => {});
const pool = openPool(url);
const { sql } = pool;
await resetToSeed(sql, await loadSeed());
Deno.test.afterAll(async () => {
  await pool[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** How long a statement may wait, and how soon after the fault a request succeeds, in s. */
const SOON = { seconds: 7 };
/** As many as the API has connections, twice. */
const REQUESTS = 20;

const addressWith = (sslmode: string) => postgres.address({ query: `sslmode=${sslmode}` });

function openPool(url: string): { readonly sql: Sql } & AsyncDisposable {
  const sql = connect({ url, max: 2 });
  return { sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}

const outboxOf = async (sql: Sql) => (await sql`select from lotline.outbox`).length;

for (const sslmode of ["disable", "require"]) {
  const linked = () => openLinkTo(addressWith(sslmode));

  Deno.test(`the API responds again over a healed network (sslmode=${sslmode})`, async () => {
    await using link = await linked();
    await using api = await startApi({ databaseUrl: link.url });
    const read = () => api.get("/api/traceability/MIX-BATCH-88");
    const write = () => api.post("/api/lots", { lot_code: `SILENT-${crypto.randomUUID()}` });
    const statuses = async () => {
      const responses = Array.from({ length: REQUESTS }, (_, n) => n % 2 === 0 ? read() : write());
      return (await Promise.all(responses)).map(({ status }) => status);
    };
    await eventually("all succeed", async () => (await statuses()).every((one) => one < 300));
    link.swallow();
    const during = await withDeadline("all have a response", statuses(), SOON);
    strictEqual(during.every((status) => status === 503), true);
    link.heal();
    await eventually("a read succeeds", async () => (await read()).status === 200, SOON);
    await eventually("a write succeeds", async () => (await write()).status === 201, SOON);
    await eventually("all succeed", async () => (await statuses()).every((one) => one < 300));
  });

  Deno.test(`the relay works again over a healed network (sslmode=${sslmode})`, async () => {
    await using link = await linked();
    await using _worker = await startWorker({ databaseUrl: link.url });
    await eventually("the relay works", async () => await outboxOf(sql) === 0);
    link.swallow();
    await sql`insert into lots (lot_code) values (${`RELAY-${crypto.randomUUID()}`})`;
    strictEqual(await outboxOf(sql) > 0, true);
    link.heal();
    await eventually("the relay works again", async () => await outboxOf(sql) === 0);
  });

  Deno.test(`the thread of large traces responds again over a healed network (sslmode=${sslmode})`, async () => {
    await using link = await linked();
    using traces = createLargeTraces(link.url, {
      ...LARGE_TRACE_LIMITS,
      statementTimeoutMs: 500,
      deadlineMs: 60_000,
    });
    const find = async () => {
      using body = await traces.find("MIX-BATCH-88", new AbortController().signal);
      return (body?.bytes ?? 0) > 0;
    };
    strictEqual(await find(), true);
    link.swallow();
    await rejects(withDeadline("the trace fails", find(), SOON), { code: "LINK_FAILED" });
    link.heal();
    strictEqual(await withDeadline("a trace is found", find(), SOON), true);
  });

  Deno.test(`a worker claims jobs again over a healed network (sslmode=${sslmode})`, async () => {
    // A database of its own: the API and the worker leave jobs of other kinds.
    const name = `jobs_${sslmode}`;
    await sql`create database ${sql(name)}`;
    const at = (address: string) => address.replace(/\/postgres(?=\?|$)/, `/${name}`);
    await migrate(at(url), () => {});
    await using jobs = openPool(at(url));
    await createEffects(jobs.sql);
    await using link = await openLinkTo(at(addressWith(sslmode)));
    await using _worker = await startJobWorker({ databaseUrl: link.url, leaseMs: 2_000 });
    const names = await enqueueCounts(jobs.sql, 5, 1);
    await allCountOnce(jobs.sql, names);
    link.swallow();
    names.push(...await enqueueCounts(jobs.sql, 5, 1));
    link.heal();
    await allCountOnce(jobs.sql, names);
  });
}
