import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import type { Sql } from "./sql.ts";
import { deleteExcessAudits, deleteExcessKeys, deleteExcessTraces } from "./retention.ts";

/**
 * Stores a trace with a result of this many bytes, finished this many minutes ago; returns its id.
 */
async function insertDone(sql: Sql, bytes: number, minutes: number): Promise<string> {
  const [id, run] = [crypto.randomUUID(), crypto.randomUUID()];
  await sql`
    insert into lotline.trace_chunks (run, number, kind, first_line, lines, body)
    values (${run}, 0, 'lots', 0, 1, 'x')`;
  await sql`
    insert into lotline.traces (id, run, lot_id, lot_code, direction, at_most, as_of, bytes)
    values (${id}, ${run}, gen_random_uuid(), 'X', 'both', 1,
      now() - ${minutes}::int * interval '1 minute', ${bytes})`;
  return id;
}

const keep = (sql: Sql, key: string, effect: string, response: string | null) =>
  sql`
    insert into lotline.idempotency_keys (caller, key, request, effect, answer)
    values ('', ${key}, sha256('x'), ${effect}, ${response}::text::json)`;

/** Deletes until nothing more is due. */
async function all(deleteSome: () => Promise<number>): Promise<number> {
  let deleted = 0;
  for (let some = 1; some > 0;) deleted += some = await deleteSome();
  return deleted;
}

Deno.test("only as many of the oldest results as necessary are deleted, with their lots and keys", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const ids: string[] = [];
  for (let age = 10; age > 4; age--) ids.push(await insertDone(sql, 1_000, age));
  await keep(sql, "goes", ids[0] ?? "", "{}");
  await keep(sql, "stays", ids[5] ?? "", "{}");
  await sql`
    insert into lotline.traces (lot_id, lot_code, direction, at_most)
    values (gen_random_uuid(), 'waits', 'both', 1)`;
  strictEqual(await all(() => deleteExcessTraces(sql, 6_000)), 0);
  strictEqual(await all(() => deleteExcessTraces(sql, 3_500)), 3);
  const left = await sql<{ id: string }[]>`
    select id from lotline.traces where run is not null order by as_of`;
  deepStrictEqual(left.map(({ id }) => id), ids.slice(3));
  const [rest] = await sql`
    select (select count(*)::int from lotline.trace_chunks) as chunks,
      (select count(*)::int from lotline.traces where run is null) as waiting,
      (select array_agg(key) from lotline.idempotency_keys) as keys`;
  deepStrictEqual(rest, { chunks: 3, waiting: 1, keys: "{stays}" });
});

Deno.test("a result of a moment ago stays, and so does one that was never delivered", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const awaited = await insertDone(sql, 1_000, 9);
  const [goes, recent] = [await insertDone(sql, 1_000, 8), await insertDone(sql, 1_000, 0)];
  await keep(sql, "unsent", awaited, null);
  strictEqual(await all(() => deleteExcessTraces(sql, 10)), 1);
  const left = await sql<{ id: string }[]>`select id from lotline.traces`;
  deepStrictEqual(left.map(({ id }) => id).sort(), [awaited, recent].sort());
  ok(!left.some(({ id }) => id === goes));
});

Deno.test("large results are deleted a few at a time", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (let age = 10; age > 4; age--) await insertDone(sql, 60_000_000, age);
  strictEqual(await deleteExcessTraces(sql, 0), 2);
  strictEqual(await all(() => deleteExcessTraces(sql, 0)), 4);
});

Deno.test("of requested audits the newest stay; the schedule's and the last one done stay too", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const insert = async (account: string | null, minutes: number, findings: number) => {
    const [id, run] = [crypto.randomUUID(), crypto.randomUUID()];
    await sql`
      insert into lotline.audits (id, run, job_id, account, created_at, finished_at)
      select ${id}, ${run}, gen_random_uuid(), ${account}, at, at
      from (select now() - ${minutes}::int * interval '1 minute' as at) moment`;
    await sql`
      insert into lotline.audit_findings
        (run, kind, subject, severity, standing, lot_ids, lot_codes, numbers)
      select ${run}, 'cycle', gen_random_uuid(), 'minor', 'new', '{}', '{}', '{}'
      from generate_series(1, ${findings}::int)`;
    return id;
  };
  const scheduled = await insert(null, 90, 1);
  await insert("a", 80, 45_000);
  await insert("b", 70, 20_000);
  const kept = [await insert("a", 60, 1), await insert("a", 50, 1)];
  const [job] = await sql<{ job_id: string }[]>`
    select job_id from lotline.audits order by created_at offset 1 limit 1`;
  await keep(sql, "goes", job?.job_id ?? "", "{}");
  strictEqual(await all(() => deleteExcessAudits(sql, 2)), 65_002);
  const left = await sql<{ id: string }[]>`select id from lotline.audits order by created_at`;
  deepStrictEqual(left.map(({ id }) => id), [scheduled, ...kept]);
  strictEqual((await sql`select from lotline.audit_findings`).length, 3);
  strictEqual((await sql`select from lotline.idempotency_keys`).length, 0);
  strictEqual(await all(() => deleteExcessAudits(sql, 1)), 2);
});

Deno.test("an account's oldest keys beyond its limit are deleted, and no other account's", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const insert = (account: string | null, count: number) =>
    sql`
      insert into lotline.idempotency_keys (caller, key, request, account, created_at)
      select '', coalesce(${account}, '') || n, sha256('x'), ${account},
        now() - n * interval '1 second'
      from generate_series(1, ${count}::int) n`;
  await insert("a", 25_000);
  await insert("b", 100);
  await insert(null, 300);
  strictEqual(await all(() => deleteExcessKeys(sql, 100)), 24_900);
  const left = await sql`
    select account, count(*)::int, bool_and(substr(key, 2)::int <= 100) as "areNewest"
    from lotline.idempotency_keys where account is not null group by 1 order by 1`;
  deepStrictEqual([...left], [
    { account: "a", count: 100, areNewest: true },
    { account: "b", count: 100, areNewest: true },
  ]);
});
