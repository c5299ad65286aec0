import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import type { LogFields } from "../log.ts";
import { upkeep } from "./upkeep.ts";

/** Runs an upkeep, and returns the numbers of deleted rows. */
async function keepUp({ sql }: TestDatabase, signal = new AbortController().signal) {
  let deleted: LogFields | undefined;
  await upkeep.run({}, {
    sql,
    onThread: () => Promise.reject(new Error("it needs no thread")),
    attemptId: crypto.randomUUID(),
    signal,
    progress: () => {},
    log: (_, __, fields) => deleted = fields,
    complete: () => Promise.reject(new Error("it has no effect")),
  });
  return deleted;
}

Deno.test("an empty database has nothing to delete", async () => {
  await using database = await freshDatabase();
  deepStrictEqual(await keepUp(database), {
    jobs: 0,
    cron_runs: 0,
    idempotency_keys: 0,
    processes: 0,
    traces: 0,
    audits: 0,
    trace_chunks: 0,
    audit_findings: 0,
  });
});

Deno.test("jobs that ended long ago are deleted, in as many batches as needed; others stay", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`
    insert into lotline.jobs (kind, state, finished_at, created_at)
    select kind, state, now() - age::interval, now() - interval '1 year' from (values
      ('goes', 'done', '169 hours'), ('goes', 'cancelled', '169 hours'), ('goes', 'dead', '721 hours'),
      ('stays', 'done', '167 hours'), ('stays', 'cancelled', '167 hours'),
      ('stays', 'dead', '719 hours'), ('stays', 'ready', null), ('stays', 'running', null)
    ) jobs (kind, state, age)`;
  await sql`
    insert into lotline.jobs (kind, state, finished_at)
    select 'goes', 'done', now() - interval '8 days' from generate_series(1, 2500)`;
  await sql`insert into lotline.cron_runs (name, slot) values
    ('upkeep', now() - interval '31 days'), ('upkeep', now() - interval '29 days')`;
  await sql`insert into lotline.processes (id, kind, started_at, seen_at) values
    (gen_random_uuid(), 'api', now(), now() - interval '61 minutes'),
    (gen_random_uuid(), 'api', now(), now() - interval '59 minutes')`;
  const deleted = await keepUp(database);
  deepStrictEqual([deleted?.jobs, deleted?.cron_runs, deleted?.processes], [2_503, 1, 1]);
  const left = await sql`select kind, count(*)::int from lotline.jobs group by kind`;
  deepStrictEqual([...left], [{ kind: "stays", count: 5 }]);
});

Deno.test("traces are deleted after 7 days, audits after 90 except the last one done, with their results", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const runs = Array.from({ length: 8 }, () => crypto.randomUUID());
  const [newTrace = "", oldTrace = "", newAudit = "", oldAudit = "", lastAudit = ""] = runs;
  const [running = "", lost = "", recent = ""] = runs.slice(5);
  const trace = (run: string | null, age: string) =>
    sql`insert into lotline.traces (run, lot_id, lot_code, direction, at_most, created_at)
      values (${run}, gen_random_uuid(), 'X', 'both', 1, now() - ${age}::text::interval)`;
  const audit = (run: string | null, age: string, finished: string | null) =>
    sql`insert into lotline.audits (run, job_id, created_at, finished_at) values
      (${run}, gen_random_uuid(), now() - ${age}::text::interval,
        now() - ${finished}::text::interval)`;
  const chunks = (run: string, age: string, count = 3) =>
    sql`insert into lotline.trace_chunks (run, number, kind, first_line, lines, body, written_at)
      select ${run}, number, 'lots', 0, 1, '{}', now() - ${age}::text::interval
      from generate_series(0, ${count - 1}::int) number`;
  const findings = (run: string, age: string, count = 3) =>
    sql`insert into lotline.audit_findings
        (run, kind, subject, severity, standing, lot_ids, lot_codes, numbers, written_at)
      select ${run}, 'cycle', gen_random_uuid(), 'minor', 'new', '{}', '{}', '{}',
        now() - ${age}::text::interval
      from generate_series(0, ${count - 1}::int) number`;

  await trace(newTrace, "167 hours");
  await trace(oldTrace, "169 hours");
  await trace(null, "169 hours");
  await chunks(newTrace, "167 hours");
  await chunks(oldTrace, "169 hours", 1_200);
  await audit(newAudit, "89 days", "89 days");
  await audit(oldAudit, "92 days", "92 days");
  await audit(null, "91 days", null);
  await findings(newAudit, "89 days");
  await findings(oldAudit, "92 days", 1_200);

  // Attempts that no row names: one that has run for long, one lost, one that may still finish.
  await sql`insert into lotline.jobs (kind, state, token) values ('deep_trace', 'running', ${running})`;
  for (const write of [chunks, findings]) {
    await write(running, "2 days");
    await write(lost, "25 hours");
    await write(recent, "23 hours");
  }
  deepStrictEqual(await keepUp(database), {
    jobs: 0,
    cron_runs: 0,
    idempotency_keys: 0,
    processes: 0,
    traces: 2,
    audits: 2,
    trace_chunks: 1_203,
    audit_findings: 1_203,
  });
  const runsOf = async (table: string) =>
    (await sql<{ run: string }[]>`select distinct run from ${sql(table)} where run is not null`)
      .map(({ run }) => run).sort();
  deepStrictEqual(await runsOf("lotline.traces"), [newTrace]);
  deepStrictEqual(await runsOf("lotline.audits"), [newAudit]);
  deepStrictEqual(await runsOf("lotline.trace_chunks"), [newTrace, running, recent].sort());
  deepStrictEqual(await runsOf("lotline.audit_findings"), [newAudit, running, recent].sort());

  await sql`delete from lotline.audits`;
  await audit(oldAudit, "93 days", "93 days");
  await audit(lastAudit, "92 days", "92 days");
  await keepUp(database);
  deepStrictEqual(await runsOf("lotline.audits"), [lastAudit], "the next is compared with it");
});

Deno.test("any number of runs is found", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`
    insert into lotline.trace_chunks (run, number, kind, first_line, lines, body, written_at)
    select gen_random_uuid(), 0, 'lots', 0, 0, '', now() - interval '2 days'
    from generate_series(1, 2500)`;
  deepStrictEqual((await keepUp(database))?.trace_chunks, 2_500);
  ok((await sql`select from lotline.trace_chunks`).count === 0);
});

Deno.test("an upkeep stops between two batches when aborted", async () => {
  await using database = await freshDatabase();
  await rejects(keepUp(database, AbortSignal.abort(new Error("stop"))), /stop/);
});

Deno.test("idempotency keys are deleted after 24 hours, in as many batches as needed", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`
    insert into lotline.idempotency_keys (caller, key, request, created_at)
    select '', 'old-' || n, sha256('x'), now() - interval '24 hours 1 minute'
    from generate_series(1, 2500) n
    union all
    select '', 'recent', sha256('x'), now() - interval '23 hours 59 minutes'`;
  strictEqual((await keepUp(database))?.idempotency_keys, 2_500);
  const left = await sql`select key from lotline.idempotency_keys`;
  deepStrictEqual([...left], [{ key: "recent" }]);
});
