import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { connect } from "../db/connect.ts";
import { MAX_ROWS } from "../db/work_state.ts";
import { freePort } from "../dev/free_port.ts";
import { runRelay } from "../jobs/relay.ts";
import { startApi } from "../testing/api.ts";
import { openLinkTo } from "../testing/black_hole.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { named, valuesOf } from "../testing/series.ts";
import { createWorkGauges } from "../db/work_gauges.ts";

const log = () => {};

for (const major of [15, 17] as const) {
  Deno.test(`/metrics has the number of ready, running and dead jobs of each kind (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major });
    await database.sql`
      insert into lotline.jobs (kind, state, run_at, lease_until, finished_at)
      select kind, state, now() + run_in::interval, now() + lease::interval,
        case when state in ('done', 'dead', 'cancelled') then now() end
      from (values
        ('a', 'ready', '-90 s', null), ('a', 'ready', '-30 s', null), ('a', 'ready', '1 h', null),
        ('b', 'ready', '1 h', null), ('b', 'running', '0', '20 s'), ('b', 'running', '0', '-1 s'),
        ('a', 'dead', '0', null), ('a', 'done', '0', null), ('b', 'cancelled', '0', null)
      ) job (kind, state, run_in, lease)`;
    const values = valuesOf(await createWorkGauges({ sql: database.sql, log })());
    deepStrictEqual(named(values, "lotline_jobs"), {
      'lotline_jobs{kind="a",state="ready"}': 3,
      'lotline_jobs{kind="b",state="ready"}': 1,
      'lotline_jobs{kind="b",state="running"}': 2,
      'lotline_jobs{kind="a",state="dead"}': 1,
    });
    strictEqual(values["lotline_jobs_expired_leases"], 1);
    const oldest = values['lotline_jobs_oldest_due_seconds{kind="a"}'] ?? NaN;
    ok(oldest >= 90 && oldest < 120, `${oldest} s`);
    strictEqual(values['lotline_jobs_oldest_due_seconds{kind="b"}'], 0);
    deepStrictEqual(named(values, "lotline_work_readable"), {
      'lotline_work_readable{what="jobs"}': 1,
      'lotline_work_readable{what="changes"}': 1,
    });
  });
}

Deno.test("/metrics shows how much waits for a relay, and whether one works", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  const read = async () => valuesOf(await createWorkGauges({ sql, log })());
  await sql`insert into lots (lot_code) values ('A')`;
  await sql`update lots set weight_kg = 1`;
  await sql`select nextval('lotline.lost_changes')`;
  const without = await read();
  deepStrictEqual(
    ["outbox_rows", "changes_lost", "relays", "relay_silent_seconds", "outbox_limit_bytes"]
      .map((name) => without[`lotline_${name}`]),
    [2, 1, 0, undefined, 134_217_728],
  );
  ok((without["lotline_outbox_bytes"] ?? 0) >= 8_192);

  await sql`insert into lotline.outbox (source, operation)
    select 'lots', 'INSERT' from generate_series(1, ${MAX_ROWS}::int)`;
  strictEqual((await read())["lotline_outbox_rows"], MAX_ROWS);

  const stop = new AbortController();
  const relay = runRelay({ databaseUrl: url, log: () => {} }, stop.signal);
  await eventually("it has relayed", async () => (await read())["lotline_outbox_rows"] === 0);
  const working = await read();
  strictEqual(working["lotline_relays"], 1);
  const silent = working["lotline_relay_silent_seconds"] ?? NaN;
  ok(silent >= 0 && silent < 3, `${silent} s`);
  stop.abort();
  await relay;
  await eventually("it is gone", async () => (await read())["lotline_relays"] === 0);
});

Deno.test("a relay of another database isn't counted", async () => {
  await using one = await freshDatabase();
  await using other = await freshDatabase();
  const stop = new AbortController();
  const relay = runRelay({ databaseUrl: one.url, log: () => {} }, stop.signal);
  const relays = async ({ sql }: typeof one) =>
    valuesOf(await createWorkGauges({ sql, log })())["lotline_relays"];
  await eventually("it works", async () => await relays(one) === 1);
  strictEqual(await relays(other), 0);
  stop.abort();
  await relay;
});

Deno.test("any number of requests for the work's state reads PostgreSQL once a second", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  let now = 0;
  const gauges = createWorkGauges({ sql, log }, () => now);
  const [first, twin] = await Promise.all([gauges(), gauges()]);
  await sql`insert into lotline.jobs (kind) values ('a')`;
  now = 999;
  deepStrictEqual([twin, await gauges()], [first, first]);
  now = 1_000;
  strictEqual(valuesOf(await gauges())['lotline_jobs{kind="a",state="ready"}'], 1);
});

Deno.test("an unreadable value is left out and logged once, and the others are shown", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`insert into lotline.jobs (kind) values ('a')`;
  await sql`drop sequence lotline.lost_changes`;
  const lines: unknown[] = [];
  let now = 0;
  const gauges = createWorkGauges({
    sql,
    log: (level, event, fields) => lines.push([level, event, fields?.what]),
  }, () => now += 1_000);
  const values = valuesOf(await gauges());
  deepStrictEqual(Object.keys(values), [
    'lotline_work_readable{what="jobs"}',
    'lotline_work_readable{what="changes"}',
    'lotline_jobs{kind="a",state="ready"}',
    'lotline_jobs_oldest_due_seconds{kind="a"}',
    "lotline_jobs_expired_leases",
  ]);
  strictEqual(values['lotline_work_readable{what="changes"}'], 0);
  const notified = ["warn", "work_state_unreadable", "changes"];
  await gauges();
  deepStrictEqual(lines, [notified]);
  await sql`create sequence lotline.lost_changes`;
  strictEqual(valuesOf(await gauges())['lotline_work_readable{what="changes"}'], 1);
  await sql`drop sequence lotline.lost_changes`;
  await gauges();
  deepStrictEqual(lines, [notified, notified]);
});

Deno.test("a locked table delays /metrics by a second, not for long", async () => {
  await using database = await freshDatabase();
  await using lock = await openTransaction(database.sql, "lock table lotline.jobs");
  const sql = connect({ url: database.url, max: 2 });
  const began = performance.now();
  const values = valuesOf(await createWorkGauges({ sql, log })());
  ok(performance.now() - began > 900, "it has waited");
  ok(lock.isOpen, "it has not waited for the lock");
  deepStrictEqual(named(values, "lotline_work_readable"), {
    'lotline_work_readable{what="jobs"}': 0,
    'lotline_work_readable{what="changes"}': 1,
  });
  await sql.end({ timeout: 0 });
});

Deno.test("/metrics has the process's counters and the work's gauges, with or without PostgreSQL", async () => {
  await using database = await freshDatabase();
  await using link = await openLinkTo(database.url);
  await using api = await startApi({ databaseUrl: link.url });
  const response = await api.get("/metrics");
  match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const values = valuesOf(response.text);
  strictEqual(values["lotline_relays"], 0);
  match(response.text, /^# TYPE lotline_logins_total counter$/m);

  link.swallow();
  const isWithout = async () => {
    const { status, text } = await api.get("/metrics");
    strictEqual(status, 200);
    match(text, /^# TYPE lotline_logins_total counter$/m);
    return valuesOf(text)['lotline_work_readable{what="jobs"}'] === 0;
  };
  await eventually("PostgreSQL has been missed", isWithout);
  strictEqual(valuesOf((await api.get("/metrics")).text)["lotline_relays"], undefined);

  await using lonely = await startApi({
    databaseUrl: `postgres://127.0.0.1:${freePort()}/none`,
  });
  const { status, text } = await lonely.get("/metrics");
  deepStrictEqual([status, valuesOf(text)['lotline_work_readable{what="jobs"}']], [200, 0]);
});
