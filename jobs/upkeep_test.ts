import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import type { LogFields } from "../log.ts";
import { upkeep } from "./upkeep.ts";

/** Runs an upkeep, and gives how much of what it deleted. */
async function keepUp({ sql }: TestDatabase, signal = new AbortController().signal) {
  let deleted: LogFields | undefined;
  await upkeep.run({}, {
    sql,
    onThread: () => Promise.reject(new Error("it needs no thread")),
    run: crypto.randomUUID(),
    signal,
    progress: () => {},
    log: (_, __, fields) => deleted = fields,
    complete: () => Promise.reject(new Error("it has no effect")),
  });
  return deleted;
}

const NO_EVIDENCE = {
  route_answers: 0,
  route_answer_minutes: 0,
  route_clients: 0,
  route_client_minutes: 0,
  route_outcomes: 0,
  route_coverage: 0,
  differences: 0,
  evidence_collectors: 0,
};

Deno.test("an empty database has nothing to be deleted", async () => {
  await using database = await freshDatabase();
  deepStrictEqual(await keepUp(database), {
    jobs: 0,
    cron_runs: 0,
    idempotency_keys: 0,
    traces: 0,
    audits: 0,
    ...NO_EVIDENCE,
    trace_chunks: 0,
    audit_findings: 0,
  });
});

Deno.test("jobs that are over for long go, in as many batches as it takes; others stay", async () => {
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
  const deleted = await keepUp(database);
  deepStrictEqual([deleted?.jobs, deleted?.cron_runs], [2_503, 1]);
  const left = await sql`select kind, count(*)::int from lotline.jobs group by kind`;
  deepStrictEqual([...left], [{ kind: "stays", count: 5 }]);
});

Deno.test("traces go after 7 days, audits after 90 but for the last one done, with what they found", async () => {
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

  // Attempts that nothing names: one at work for long, one lost, one that may still finish.
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
    traces: 2,
    audits: 2,
    ...NO_EVIDENCE,
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

Deno.test("counts of the gateway go after 400 days, differences after 90, processes after 30", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`
    insert into lotline.route_answers (
      operation, side, epoch, minute, requests, server_errors, silences, latencies
    )
    select 'login', 'legacy', n, now() - (398 + n) * interval '1 day', 1, 0, 0, '{}'
    from generate_series(1, 1500) n`;
  await sql`
    insert into lotline.route_outcomes (operation, epoch, minute, outcome, approval, count)
    select 'login', n, now() - (398 + n) * interval '1 day', 'same', '', 1
    from generate_series(1, 3) n`;
  await sql`
    insert into lotline.route_coverage (operation, epoch, minute, what, count)
    select 'login', n, now() - (398 + n) * interval '1 day', 'due', 1
    from generate_series(1, 3) n`;
  await sql`
    insert into lotline.differences (at, operation, epoch, mode, outcome, fingerprint, differences)
    select now() - (88 + n) * interval '1 day', 'login', n, 'shadow', 'different', '', '[]'
    from generate_series(1, 3) n`;
  await sql`
    insert into lotline.evidence_collectors (id, batch, stored_at)
    select gen_random_uuid(), n, now() - (28 + n) * interval '1 day' from generate_series(1, 3) n`;
  const { route_answers, route_outcomes, route_coverage, differences, evidence_collectors } =
    await keepUp(database) ??
      {};
  deepStrictEqual(
    [route_answers, route_outcomes, route_coverage, differences, evidence_collectors],
    [
      1_499,
      2,
      2,
      2,
      2,
    ],
  );
  const left = await sql`
    select epoch from lotline.route_answers union all select epoch from lotline.route_outcomes
    union all select epoch from lotline.route_coverage
    union all select epoch from lotline.differences
    union all select batch from lotline.evidence_collectors`;
  deepStrictEqual(left.map(({ epoch }) => Number(epoch)), [1, 1, 1, 1, 1]);
});

Deno.test("answers are put together by the hour after 30 days, and none is lost", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const count = (from: string, minutes: number) =>
    sql`
      insert into lotline.route_answers (
        operation, side, epoch, minute, requests, server_errors, silences, latencies
      )
      select operation, 'legacy', 1,
        date_trunc('hour', now() - ${from}::text::interval) + n * interval '1 minute', n, 1, 2,
        jsonb_build_object(n % 2, n)
      from generate_series(1, ${minutes}::int) n, unnest('{login,createLot}'::text[]) operation`;
  await count("32 days", 1_200);
  await count("29 days", 30);
  const sums = async () => {
    const [row] = await sql`
      select sum(requests) as requests, sum(server_errors) as errors, sum(silences) as silences,
        lotline.sum_counts(latencies) as latencies
      from lotline.route_answers`;
    return row;
  };
  const before = await sums();
  strictEqual((await keepUp(database))?.route_answer_minutes, 2 * (1_200 - 20));
  deepStrictEqual(await sums(), before);
  const [left] = await sql`
    select count(*) filter (where minute < now() - interval '30 days')::int as hours,
      count(*) filter (where minute > now() - interval '30 days')::int as minutes
    from lotline.route_answers`;
  deepStrictEqual(left, { hours: 2 * 21, minutes: 2 * 30 });
  strictEqual((await keepUp(database))?.route_answer_minutes, 0);
});

Deno.test("clients are put together by the day after 2 days and go after 400, and none is lost", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const count = (from: string, minutes: number) =>
    sql`
      insert into lotline.route_clients (operation, side, epoch, minute, requests, buckets)
      select operation, 'service', 1,
        date_trunc('day', now() - ${from}::text::interval) + n * interval '1 minute', n,
        set_bit(repeat('0', 10000)::bit(10000), n, 1)
      from generate_series(1, ${minutes}::int) n, unnest('{login,createLot}'::text[]) operation`;
  await count("4 days", 1_200);
  await count("402 days", 3);
  const sums = async () => [
    ...await sql`
      select operation, sum(requests)::int as requests, bit_count(bit_or(buckets))::int as clients
      from lotline.route_clients where minute > now() - interval '100 days' group by 1 order by 1`,
  ];
  const before = await sums();
  const { route_clients, route_client_minutes } = await keepUp(database) ?? {};
  deepStrictEqual([route_clients, route_client_minutes], [2 * 3, 2 * 1_200]);
  deepStrictEqual(await sums(), before);
  strictEqual((await sql`select from lotline.route_clients`).count, 2);
  strictEqual((await keepUp(database))?.route_client_minutes, 0);
});

Deno.test("runs are found however many there are", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`
    insert into lotline.trace_chunks (run, number, kind, first_line, lines, body, written_at)
    select gen_random_uuid(), 0, 'lots', 0, 0, '', now() - interval '2 days'
    from generate_series(1, 2500)`;
  deepStrictEqual((await keepUp(database))?.trace_chunks, 2_500);
  ok((await sql`select from lotline.trace_chunks`).count === 0);
});

Deno.test("an upkeep that is told to stop does so between two batches", async () => {
  await using database = await freshDatabase();
  await rejects(keepUp(database, AbortSignal.abort(new Error("stop"))), /stop/);
});

Deno.test("idempotency keys go after 24 hours, in as many batches as it takes", async () => {
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
