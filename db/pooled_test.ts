import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { createRolledBackWrites, DRY_RUN_SESSIONS } from "../dry_run/rolled_back_writes.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually, patiently } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { IGNORED_PARAMETERS, startPgBouncer } from "../testing/pgbouncer.ts";
import { connect } from "./connect.ts";
import { limitsOf } from "./pooled.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import { openSession } from "./session.ts";
import type { Sql } from "./sql.ts";

const POOLERS = {
  "PgBouncer 1.18": { release: "bookworm", settings: {} },
  "PgBouncer 1.18 that ignores parameters": {
    release: "bookworm",
    settings: { ignore_startup_parameters: IGNORED_PARAMETERS },
  },
  "PgBouncer 1.24": { release: "trixie", settings: { max_prepared_statements: "100" } },
} as const;

/** A database with the table `kept`, directly and through a pooler with two connections. */
async function start(name: keyof typeof POOLERS) {
  const database = await freshDatabase({ migrated: false });
  const bouncer = await startPgBouncer(database.url, POOLERS[name]);
  const url = bouncer.through(database.url, "pool_mode=auto");
  const sql = connect({ url, max: 4 });
  await database.sql`create table kept (number int primary key, name text)`;
  return {
    url,
    sql,
    direct: database.sql,
    numbers: async () => {
      const rows = await database.sql`select number from kept order by number`;
      return rows.map((row) => Number(row.number));
    },
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 1 });
      await bouncer[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** How long a caller waits, in ms. */
const CALLER_MS = 700;

const SETTINGS = ["statement_timeout", "lock_timeout", "TimeZone", "transaction_read_only"];

/** Ends PostgreSQL's connections that have a transaction open. */
async function endTransactions(sql: Sql): Promise<void> {
  const ended = await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and state = 'idle in transaction'`;
  ok(ended.length > 0);
}

for (const name of Object.keys(POOLERS) as (keyof typeof POOLERS)[]) {
  Deno.test(`${name}: concurrent statements get their own rows, and values of all types arrive`, async () => {
    await using it = await start(name);
    const { sql } = it;
    await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      const rows = await sql`
        select ${i}::int as i, ${sql.json({ list: [i, null] })}::jsonb as document,
          ${i % 2 === 0}::boolean as even, ${"é\\'"} as text, ${null}::text as nothing,
          ${`{${i}}`}::int[] as list, ${i}::numeric as number, generate_series(1, ${i % 5}::int)`;
      strictEqual(rows.length, i % 5);
      for (const row of rows) {
        deepStrictEqual({ ...row, generate_series: 0 }, {
          i,
          document: { list: [i, null] },
          even: i % 2 === 0,
          text: "é\\'",
          nothing: null,
          list: `{${i}}`,
          number: String(i),
          generate_series: 0,
        });
      }
    }));
    const inserted = await sql`insert into kept select n from generate_series(1, ${30}::int) n`;
    strictEqual(inserted.count, 30);
    strictEqual((await sql`update kept set name = ${"x"} where number <= 3 returning 1`).length, 3);
    strictEqual((await sql`select repeat('x', 1000) from generate_series(1, 5000)`).length, 5_000);
    await rejects(sql`insert into kept values (${1})`, { code: "23505" });
    await rejects(sql`select ${1}::int / 0`, { code: "22012" });
  });

  Deno.test(`${name}: each transaction has the settings of the session, and leaves none`, async () => {
    await using it = await start(name);
    const read = async (sql: Sql) => {
      const rows = await sql`
        select name, setting from pg_settings where name = any(${`{${SETTINGS}}`}::text[])`;
      return Object.fromEntries(rows.map((row) => [row.name, row.setting]));
    };
    const settings = { lock_timeout: "2000", statement_timeout: "4000", TimeZone: "UTC" };
    deepStrictEqual(await read(it.sql), { ...settings, transaction_read_only: "off" });
    await it.sql.begin(async (sql) => {
      deepStrictEqual(await read(sql as unknown as Sql), {
        ...settings,
        transaction_read_only: "off",
      });
    });
    await using session = openSession(it.url, { name: "lotline-test", readOnly: true });
    const own = { lock_timeout: "0", statement_timeout: "0", TimeZone: "UTC" };
    deepStrictEqual(await read(session.sql), { ...own, transaction_read_only: "on" });
    await session.sql`begin`;
    deepStrictEqual(await read(session.sql), { ...own, transaction_read_only: "on" });
    await session.sql`commit`;
    await using plain = openSession(it.url, { name: "lotline-test", readsAsServer: true });
    for (let i = 0; i < 4; i++) {
      const left = await plain.sql`
        select count(*) filter (where name not like 'PGBOUNCER%')::int as prepared,
          (select count(*)::int from pg_locks where locktype = 'advisory') as locks
        from pg_prepared_statements`;
      deepStrictEqual([...left], [{ prepared: 0, locks: 0 }]);
    }
  });

  Deno.test(`${name}: of a statement that takes too long nothing is stored`, async () => {
    await using it = await start(name);
    await using pool = {
      sql: connect({ url: it.url, statementTimeoutMs: 200 }),
      [Symbol.asyncDispose]: () => pool.sql.end(),
    };
    await rejects(
      pool.sql`insert into kept select ${1}::int from (select pg_sleep(1)) slow`,
      { code: "57014" },
    );
    await rejects(
      pool.sql.begin(async (sql) => {
        await sql`insert into kept values (${2})`;
        await sql`select pg_sleep(1)`;
      }),
      { code: "57014" },
    );
    deepStrictEqual(await it.numbers(), []);
  });

  Deno.test(`${name}: nothing is stored behind a caller that has given up`, async () => {
    await using it = await start(name);
    // The time for the lock is 2 s.
    const insert = (number: number) =>
      queryWithDeadline(it.sql, it.sql`insert into kept values (${number})`, CALLER_MS);
    await insert(0);
    const lock = await openTransaction(it.direct, "lock table kept in share row exclusive mode");
    await Promise.all([1, 2, 3].map((number) => rejects(insert(number))));
    await lock[Symbol.asyncDispose]();
    const free = await Promise.all([1, 2].map(() => openSession(it.url, { name: "lotline-test" })));
    for (const { sql } of free) await sql`begin`;
    await Promise.all([4, 5].map((number) => rejects(insert(number))));
    for (const session of free) await session[Symbol.asyncDispose]();
    await eventually("a row is stored", () => insert(6).then(() => true, () => false));
    deepStrictEqual(await it.numbers(), [0, 6]);
  });

  Deno.test(`${name}: a statement whose commit fails has failed, and nothing is stored`, async () => {
    await using it = await start(name);
    await it.direct`
      alter table kept add parent int references kept deferrable initially deferred`;
    for (let i = 0; i < 3; i++) {
      await rejects(it.sql`insert into kept values (${i}, 'x', ${99}) returning number`, {
        code: "23503",
      });
    }
    deepStrictEqual(await it.numbers(), []);
  });

  Deno.test(`${name}: statements behind a begin that fails, or is lost, do not run`, async () => {
    await using it = await start(name);
    await using session = openSession(it.url, { name: "lotline-test" });
    const { sql } = session;
    await sql`select 1`;
    const behind = [sql.unsafe("begin nonsense"), sql`insert into kept values (1)`, sql`commit`];
    for (const query of behind) query.execute();
    await Promise.all(behind.map((query) => rejects(query, { code: "42601" })));
    await sql.unsafe("begin");
    await endTransactions(it.direct);
    const lost = [sql`insert into kept values (2)`, sql`insert into kept values (3)`];
    await Promise.all(lost.map((query) => rejects(query)));
    await rejects(sql`insert into kept values (4)`);
    deepStrictEqual(await it.numbers(), []);
  });

  Deno.test(`${name}: a dry run stores nothing, also when its transaction is lost`, async () => {
    await using it = await start(name);
    using dryRuns = createRolledBackWrites(
      (onEnd) => openSession(it.url, { ...DRY_RUN_SESSIONS, onEnd }),
      it.url,
    );
    for (let round = 0; round < 3; round++) {
      const text = "insert into kept values ($1::int) returning number";
      const rows = await patiently(() => dryRuns.write({ text, parameters: [String(round)] }));
      deepStrictEqual([...rows], [{ number: round }]);
    }
    await using session = openSession(it.url, { ...DRY_RUN_SESSIONS });
    await rejects(session.sql`insert into kept values (7)`, { code: "25006" });
    await session.sql.unsafe("begin read write");
    await session.sql`insert into kept values (8)`;
    await endTransactions(it.direct);
    await rejects(session.sql`insert into kept values (9)`);
    deepStrictEqual(await it.numbers(), []);
  });

  Deno.test(`${name}: a table that is changed does not fail the statements that read it`, async () => {
    await using it = await start(name);
    const insert = (n: number) => it.sql`insert into kept values (${n}, ${"a"}) returning *`;
    for (let n = 0; n < 10; n++) await insert(n);
    await it.direct`alter table kept add more int`;
    await Promise.all(Array.from({ length: 10 }, (_, n) => insert(10 + n)));
    deepStrictEqual(await it.numbers(), Array.from({ length: 20 }, (_, n) => n));
  });
}

Deno.test("options in an address can't go through a pooler, which a statement's error says", async () => {
  await using it = await start("PgBouncer 1.18");
  const sql = connect({ url: `${it.url}&options=-c%20geqo%3Doff` });
  await rejects(sql`select 1`, /options can't go through the pooler: set them with alter role/);
  await sql.end();
});

Deno.test("a statement's waiting and its running are over before its caller gives up", () => {
  const lefts = [undefined, 10_000, 6_000, 3_000, 1_000, 201, 200, 0, -5];
  const options = { name: "lotline-test", statementTimeoutMs: 4_000 };
  deepStrictEqual(lefts.map((left) => limitsOf(options, left)), [
    { startMs: 1_500, statementMs: 4_000 },
    { startMs: 1_500, statementMs: 4_000 },
    { startMs: 1_500, statementMs: 4_000 },
    { startMs: 1_500, statementMs: 1_400 },
    { startMs: 500, statementMs: 400 },
    { startMs: 100, statementMs: 1 },
    undefined,
    undefined,
    undefined,
  ]);
  const endless = { name: "lotline-test" };
  deepStrictEqual(limitsOf(endless), { startMs: 1_500, statementMs: 0 });
  deepStrictEqual(limitsOf(endless, 1_000), { startMs: 500, statementMs: 400 });
});
