import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase, type TestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { prune, startRetention } from "./retention.ts";

const keepUp = ({ sql }: TestDatabase) => prune(sql, new AbortController().signal);

const NOTHING = {
  route_answers: 0,
  route_answer_minutes: 0,
  route_clients: 0,
  route_client_minutes: 0,
  route_outcomes: 0,
  route_coverage: 0,
  differences: 0,
  evidence_collectors: 0,
  gateway_runs: 0,
  unknown_requests: 0,
  recordings: 0,
  plans: 0,
};

/** Stores outcomes that are old enough to delete. */
const givenOldOutcomes = ({ sql }: TestDatabase, count: number) =>
  sql`
    insert into lotline.route_outcomes (operation, epoch, minute, outcome, approval, count)
    select 'login', n, now() - interval '401 days', 'same', '', 1
    from generate_series(1, ${count}::int) n`;

Deno.test("an empty database has nothing to delete", async () => {
  await using database = await freshDatabase();
  deepStrictEqual(await keepUp(database), NOTHING);
});

Deno.test("plans are deleted 400 days after their end", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (const days of [401, 399]) {
    await sql`
      insert into lotline.plans (
        operations, places, steps, soak_ms, samples, patience_ms, forced, detached, who, why,
        ended_at, outcome
      )
      values (
        '{login}', '[1,2)', 'shadow', 0, 1, 0, false, true, 'tester', 'a test',
        now() - ${days}::int * interval '1 day', 'done'
      )`;
  }
  strictEqual((await keepUp(database)).plans, 1);
});

Deno.test("counts of the gateway are deleted after 400 days, differences after 90, processes after 30", async () => {
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
  await sql`
    insert into lotline.gateway_runs (id, started_at, seen_at, version)
    select gen_random_uuid(), seen_at, seen_at, '0.1.0'
    from generate_series(1, 3) n, lateral (select now() - (398 + n) * interval '1 day') s (seen_at)`;
  await sql`
    insert into lotline.unknown_requests (day, method, path, count, first_at, last_at)
    select current_date - (398 + n), 'GET', '/api', 1, now(), now() from generate_series(1, 3) n`;
  const deleted = await keepUp(database);
  deepStrictEqual(
    [
      deleted.route_answers,
      deleted.route_outcomes,
      deleted.route_coverage,
      deleted.differences,
      deleted.evidence_collectors,
      deleted.gateway_runs,
      deleted.unknown_requests,
    ],
    [1_499, 2, 2, 2, 2, 2, 2],
  );
  const left = await sql`
    select epoch from lotline.route_answers union all select epoch from lotline.route_outcomes
    union all select epoch from lotline.route_coverage
    union all select epoch from lotline.differences
    union all select batch from lotline.evidence_collectors`;
  deepStrictEqual(left.map(({ epoch }) => Number(epoch)), [1, 1, 1, 1, 1]);
});

Deno.test("responses are aggregated by the hour after 30 days, and none is lost", async () => {
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
  strictEqual((await keepUp(database)).route_answer_minutes, 2 * (1_200 - 20));
  deepStrictEqual(await sums(), before);
  const [left] = await sql`
    select count(*) filter (where minute < now() - interval '30 days')::int as hours,
      count(*) filter (where minute > now() - interval '30 days')::int as minutes
    from lotline.route_answers`;
  deepStrictEqual(left, { hours: 2 * 21, minutes: 2 * 30 });
  strictEqual((await keepUp(database)).route_answer_minutes, 0);
});

Deno.test("clients are aggregated by the day after 2 days and deleted after 400, and none is lost", async () => {
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
  const { route_clients, route_client_minutes } = await keepUp(database);
  deepStrictEqual([route_clients, route_client_minutes], [2 * 3, 2 * 1_200]);
  deepStrictEqual(await sums(), before);
  strictEqual((await sql`select from lotline.route_clients`).count, 2);
  strictEqual((await keepUp(database)).route_client_minutes, 0);
});

Deno.test("recordings that were never collected are deleted a day after their end, with their exchanges", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (const [id, age] of [["goes", "25 hours"], ["stays", "23 hours"]] as const) {
    await sql`
      with recording as (
        insert into lotline.recordings (side, per_operation, started_at, until)
        select 'legacy', 1, at - interval '1 hour', at
        from (select now() - ${age}::text::interval as at) ended returning id
      )
      insert into lotline.recorded_exchanges (recording, operation, slot, seen_at, exchange)
      select id, ${id}, 1, now(), '{}' from recording`;
  }
  deepStrictEqual(await keepUp(database), { ...NOTHING, recordings: 1 });
  const left = await sql`select operation from lotline.recorded_exchanges`;
  deepStrictEqual([...left], [{ operation: "stays" }]);
});

Deno.test("gateways that prune at the same time do it once, and none waits for another", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await givenOldOutcomes(database, 2_500);
  const all = await Promise.all([1, 2, 3].map(() => keepUp(database)));
  const rest = await keepUp(database);
  const sum = [...all, rest].reduce((sum, { route_outcomes = 0 }) => sum + route_outcomes, 0);
  strictEqual(sum, 2_500);
  strictEqual((await sql`select from lotline.route_outcomes`).length, 0);

  await givenOldOutcomes(database, 1);
  await using busy = await openTransaction(
    sql,
    "select pg_advisory_xact_lock(5684633), pg_backend_pid()",
  );
  deepStrictEqual(await keepUp(database), NOTHING);
  ok(busy.isOpen, "nothing has waited for the gateway that prunes");
  await busy.commit();
  deepStrictEqual(await keepUp(database), { ...NOTHING, route_outcomes: 1 });
});

Deno.test("a gateway that ends stops pruning between two batches", async () => {
  await using database = await freshDatabase();
  await rejects(prune(database.sql, AbortSignal.abort(new Error("stop"))), /stop/);
});

Deno.test("the retention deletes old rows and logs it, and continues without a right to delete", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await givenOldOutcomes(database, 3);
  const notified: string[] = [];
  const log = (level: string, message: string) => void notified.push(`${level} ${message}`);
  {
    await using _ = startRetention({ databaseUrl: database.url, log });
    await eventually("it has pruned", () => notified.length > 0);
  }
  deepStrictEqual(notified, ["info retention_deleted_rows"]);
  strictEqual((await sql`select from lotline.route_outcomes`).length, 0);
  await sql`drop table lotline.route_outcomes`;
  {
    await using _ = startRetention({ databaseUrl: database.url, log });
    await eventually("it has tried", () => notified.length > 1);
  }
  deepStrictEqual(notified[1], "warn retention_failed");
});
