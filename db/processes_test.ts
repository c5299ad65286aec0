import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { LogFields } from "../log.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { codeVersion } from "../version.ts";
import { listRunningProcesses, noteProcess, readClock, readingOf } from "./processes.ts";
import { openSession } from "./session.ts";
import type { Sql } from "./sql.ts";

/** Notes a process as programs do, more often. */
function note({ sql, url }: { sql: Sql; url: string }, timeZone?: string) {
  const lines: [event: string, fields: LogFields | undefined][] = [];
  const noting = noteProcess({
    sql,
    url,
    kind: "api",
    connections: 7,
    timeZone,
    log: (_, event, fields) => void lines.push([event, fields]),
    everyMs: 20,
  });
  return { lines, [Symbol.dispose]: () => noting[Symbol.dispose]() };
}

Deno.test("a clock is compared with the middle of the round trip", () => {
  deepStrictEqual(readingOf(1_000, 40, 1_020), { aheadMs: 0, errorMs: 20 });
  deepStrictEqual(readingOf(5_000, 10, 1_000), { aheadMs: 4_005, errorMs: 5 });
});

Deno.test("a process has one row, with its clock and its time zone, while it runs", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  {
    using first = note(database, "Europe/Berlin");
    using second = note(database);
    await eventually("both clocks are measured", async () => {
      const running = await listRunningProcesses(sql);
      return running.length === 2 &&
        running.every(({ clock, version }) => clock !== null && version !== null);
    });
    const running = await listRunningProcesses(sql);
    deepStrictEqual(
      new Set(running.map(({ timeZone }) => timeZone)),
      new Set(["Europe/Berlin", null]),
    );
    const ofCode = await codeVersion();
    for (const { kind, client, clock, version, connections, isPooled } of running) {
      deepStrictEqual([kind, client], ["api", "127.0.0.1"]);
      deepStrictEqual([version, connections, isPooled], [ofCode, 7, false]);
      // One machine, one clock.
      ok(clock !== null && Math.abs(clock.aheadMs) <= clock.errorMs + 5, JSON.stringify(clock));
    }
    deepStrictEqual([first.lines, second.lines], [[], []]);
  }
  await eventually("nothing is noted any more", async () => {
    // A note may have been sent before the end.
    await sql`update lotline.processes set seen_at = now() - interval '11 seconds'`;
    return (await listRunningProcesses(sql)).length === 0;
  });
  const clock = await readClock(sql);
  ok(Math.abs(clock.aheadMs) <= clock.errorMs + 5, JSON.stringify(clock));
});

Deno.test("there are 1,000 rows at most: the one that was seen longest ago makes room", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`
    insert into lotline.processes (id, kind, started_at, seen_at)
    select gen_random_uuid(), 'api', now(), now() - make_interval(secs => number)
    from generate_series(1, 1200) number`;
  await sql`select lotline.note_process(
    ${crypto.randomUUID()}, 'worker', null, null, null, null, null, null)`;
  const [row] = await sql<{ rows: number; oldest: number; workers: number }[]>`
    select count(*)::int as rows, count(*) filter (where kind = 'worker')::int as workers,
      round(extract(epoch from max(now() - seen_at)))::int as oldest
    from lotline.processes`;
  deepStrictEqual([row?.rows, row?.workers, row?.oldest], [1_000, 1, 999]);
});

Deno.test("a role without rights on the table notes its process, and sees the others", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const role = `noting_${crypto.randomUUID().slice(0, 8)}`;
  await sql.unsafe(`create role ${role} login; grant usage on schema lotline to ${role}`).simple();
  try {
    await sql.begin(async (tx) => {
      await tx.unsafe(`set local role ${role}`);
      await tx`select lotline.note_process(
        ${crypto.randomUUID()}, 'gateway', null, null, null, null, null, null)`;
      strictEqual((await tx`select from lotline.processes`).length, 1);
    });
  } finally {
    await sql.unsafe(`drop owned by ${role}; drop role ${role}`).simple();
  }
});

Deno.test("a process that can't be noted says so once a minute, and not that PostgreSQL is unavailable", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`alter function lotline.note_process rename to another`;
  {
    using noting = note(database);
    await eventually("it is in the log", () => noting.lines.length > 0);
    const before = noting.lines.length;
    await sql`alter function lotline.another rename to note_process`;
    await eventually("it is noted", async () => (await listRunningProcesses(sql)).length === 1);
    deepStrictEqual([before, noting.lines.length, noting.lines[0]?.[0]], [
      1,
      1,
      "process_not_noted",
    ]);
  }
  await using empty = await freshDatabase({ migrated: false });
  using noting = note(empty);
  await eventually("it looked", async () => {
    const [row] = await empty.sql<{ failed: boolean }[]>`
      select xact_rollback > 0 as failed from pg_stat_database where datname = current_database()`;
    return row?.failed === true;
  }, { seconds: 60 });
  deepStrictEqual(noting.lines, []);
});

Deno.test("a note waits for no lock, and isn't in the log when it fails for one", async () => {
  await using database = await freshDatabase();
  using noting = note(database);
  await eventually(
    "it is noted",
    async () => (await listRunningProcesses(database.sql)).length === 1,
  );
  await using blocker = openSession(database.url, { name: "lotline-test" });
  await blocker.sql`begin`;
  await blocker.sql`lock table lotline.processes in access exclusive mode`;
  // Without a limit of its own.
  await using other = openSession(database.url, { name: "lotline-test" });
  await rejects(
    other.sql`select lotline.note_process(
      ${crypto.randomUUID()}, 'api', null, null, null, null, null, null)`,
    { code: "55P03" },
  );
  await blocker.sql`rollback`;
  deepStrictEqual(noting.lines, []);
});
