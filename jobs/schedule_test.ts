import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { insertAudit } from "../db/audits.ts";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import type { Slot } from "../db/cron_runs.ts";
import type { LogFields } from "../log.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { makeReadOnly, otherAddress } from "../testing/read_only.ts";
import { delay } from "../timing.ts";
import {
  cronExpression,
  followSchedule,
  lastSlot,
  SCHEDULE,
  type ScheduleDeps,
  type ScheduleEntry,
} from "./schedule.ts";

const entryAt = (at: ScheduleEntry["at"], enqueue: ScheduleEntry["enqueue"] = async () => {}) => ({
  name: "test",
  at,
  enqueue,
});

Deno.test("the last slot of an entry is the last moment at which its clock struck", () => {
  const cases: [at: ScheduleEntry["at"], now: string, slot: string][] = [
    [{ minute: 20 }, "2026-03-01T10:20:00.000Z", "2026-03-01T10:20:00.000Z"],
    [{ minute: 20 }, "2026-03-01T10:19:59.999Z", "2026-03-01T09:20:00.000Z"],
    [{ minute: 20 }, "2026-03-01T00:05:00.000Z", "2026-02-28T23:20:00.000Z"],
    [{ minute: 0 }, "2026-03-01T10:59:59.999Z", "2026-03-01T10:00:00.000Z"],
    [{ hour: 2, minute: 0 }, "2026-03-01T02:00:00.000Z", "2026-03-01T02:00:00.000Z"],
    [{ hour: 2, minute: 0 }, "2026-03-01T01:59:59.999Z", "2026-02-28T02:00:00.000Z"],
    // Where daylight saving time starts: UTC has none.
    [{ hour: 2, minute: 30 }, "2026-03-29T12:00:00.000Z", "2026-03-29T02:30:00.000Z"],
    [{ hour: 23, minute: 59 }, "2028-03-01T00:00:00.000Z", "2028-02-29T23:59:00.000Z"],
  ];
  for (const [at, now, slot] of cases) {
    strictEqual(new Date(lastSlot(entryAt(at), Date.parse(now))).toISOString(), slot, now);
  }
  strictEqual(cronExpression(entryAt({ minute: 20 })), "20 * * * *");
  strictEqual(cronExpression(entryAt({ hour: 2, minute: 0 })), "0 2 * * *");
});

Deno.test("every entry has a unique name and a valid time", () => {
  strictEqual(new Set(SCHEDULE.map(({ name }) => name)).size, SCHEDULE.length);
  for (const { at: { hour = 0, minute } } of SCHEDULE) {
    ok(hour >= 0 && hour < 24 && minute >= 0 && minute < 60);
  }
});

Deno.test("a missed job is queued at the start, retried until that succeeds, and stops on request", async () => {
  const end = new AbortController();
  const slots: Slot[] = [];
  let logged = 0;
  const entry = entryAt({ minute: 0 }, (_, slot) => {
    slots.push(slot);
    if (slots.length > 2) end.abort();
    return slots.length < 3 ? Promise.reject(new Error("away")) : Promise.resolve();
  });
  await using database = await freshDatabase({ migrated: false });
  const { sql } = database;
  await followSchedule([entry], { sql, log: () => logged++, signal: end.signal });
  strictEqual(slots.length, 3);
  strictEqual(logged, 1);
  ok(Date.parse(slots[0]?.at ?? "") <= Date.now());
  // A schedule that ends before its start must not keep the process running.
  await followSchedule([entry], { sql, log: () => logged++, signal: end.signal });
});

Deno.test("several workers queue every entry's job once a slot, and not twice at a time", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const start = async () => {
    const end = new AbortController();
    const following = followSchedule(SCHEDULE, { sql, log: () => {}, signal: end.signal });
    await eventually("all slots have their run", async () => {
      const [row] = await sql<{ runs: number }[]>`
        select count(distinct name)::int as runs from lotline.cron_runs`;
      return row?.runs === SCHEDULE.length;
    });
    end.abort();
    await following;
  };
  const jobs = async () => (await sql`select kind from lotline.jobs`).length;
  await start();
  strictEqual(await jobs(), SCHEDULE.length);
  await start();
  strictEqual(await jobs(), SCHEDULE.length);
  await sql`delete from lotline.cron_runs`;
  await start();
  strictEqual(await jobs(), SCHEDULE.length, "the job of the last slot still waits");
  await sql`update lotline.jobs set state = 'done'`;
  await sql`delete from lotline.cron_runs`;
  await start();
  strictEqual(await jobs(), 2 * SCHEDULE.length);
  deepStrictEqual(
    (await sql`select distinct priority from lotline.jobs`).map(({ priority }) => priority),
    [1],
  );
});

/** Follows the schedule for this many checks, and returns the log. */
async function follow(sql: Sql, looks: number, more: Partial<ScheduleDeps> = {}) {
  const end = new AbortController();
  const logged: { event: string; fields: LogFields | undefined }[] = [];
  let looked = 0;
  const last: ScheduleEntry = {
    name: "looks",
    at: { minute: 0 },
    enqueue: () => {
      // Those before it have started, and are waited for.
      if (++looked === looks) end.abort();
      return Promise.resolve();
    },
  };
  await followSchedule([...SCHEDULE, last], {
    sql,
    log: (_, event, fields) => logged.push({ event, fields }),
    signal: end.signal,
    checkMs: 20,
    ...more,
  });
  return logged.filter(({ fields }) => fields?.name === "audit");
}

const audits = (sql: Sql) =>
  sql<{ id: string; state: string }[]>`
    select id, state from lotline.jobs where kind = 'audit_genealogy' order by created_at`;

Deno.test("a scheduled job that died is queued once more for its slot by any worker, and no third time", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const die = () =>
    sql`update lotline.jobs set state = 'dead', finished_at = now() where state <> 'dead'`;
  await follow(sql, 2);
  strictEqual((await audits(sql)).length, 1, "the slot has its job");
  await die();
  // At the start of a worker, or at the next check of a running one.
  const logs = [await follow(sql, 1), await follow(sql, 3)];
  strictEqual((await audits(sql)).length, 2);
  strictEqual((await sql`select from lotline.audits`).length, 2);
  const again = logs.flat().map(({ event }) => event);
  deepStrictEqual(again, ["scheduled_work_retried"]);
  await die();
  await follow(sql, 3);
  strictEqual((await audits(sql)).length, 2, "once");
  // The next slot is a new one.
  await follow(sql, 1, { now: () => Date.now() + 86_400_000 });
  strictEqual((await audits(sql)).length, 3);
});

Deno.test("a slot is done if a job of its work was done, was cancelled or waits since then, on anyone's request", async () => {
  for (const state of ["done", "cancelled", "ready", "running"]) {
    await using database = await freshDatabase();
    const { sql } = database;
    await follow(sql, 1);
    await sql`update lotline.jobs set state = 'dead', finished_at = now()`;
    await insertAudit(sql, null, "tester");
    await sql`update lotline.jobs set state = ${state}, finished_at = now() where state <> 'dead'`;
    await follow(sql, 2);
    strictEqual((await audits(sql)).length, 2, state);
  }
});

Deno.test("a missed audit is queued at the start, with a log line that says how to prevent it", async () => {
  await using database = await freshDatabase();
  const noon = Date.parse("2026-03-02T12:00:00Z");
  deepStrictEqual(await follow(database.sql, 2, { now: () => noon }), [{
    event: "scheduled_work_caught_up",
    fields: {
      name: "audit",
      slot: "2026-03-02T02:00:00.000Z",
      hint: "AUDIT_QUIET_HOURS can keep it away from working hours",
    },
  }]);
  strictEqual((await audits(database.sql)).length, 1);
});

Deno.test("a missed or dead audit waits for the end of the quiet hours, and then runs once", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const quietHours = [{ from: 6 * 60, to: 22 * 60 }];
  const at = (time: string) => ({ quietHours, now: () => Date.parse(`2026-03-02T${time}Z`) });
  deepStrictEqual(await follow(sql, 3, at("12:00:00")), [{
    event: "scheduled_work_postponed",
    fields: {
      name: "audit",
      slot: "2026-03-02T02:00:00.000Z",
      until: "2026-03-02T22:00:00.000Z",
    },
  }]);
  strictEqual((await audits(sql)).length, 0);
  strictEqual((await sql`select from lotline.jobs where kind = 'upkeep'`).length, 1, "upkeep runs");
  for (const looks of [1, 3]) await follow(sql, looks, at("22:00:00"));
  strictEqual((await audits(sql)).length, 1);
  await sql`update lotline.jobs set state = 'dead', finished_at = now()`;
  deepStrictEqual(await follow(sql, 2, at("21:59:59")), [], "it isn't missed any more");
  strictEqual((await audits(sql)).length, 1);
  await follow(sql, 2, at("22:00:01"));
  strictEqual((await audits(sql)).length, 2);
});

Deno.test("an audit that is due in quiet hours runs once after them", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const quietHours = [{ from: 22 * 60, to: 4 * 60 }];
  let now = Date.parse("2026-03-02T02:00:00Z");
  await follow(sql, 2, { quietHours, now: () => now });
  strictEqual((await audits(sql)).length, 0);
  now = Date.parse("2026-03-02T04:00:00Z");
  await follow(sql, 3, { quietHours, now: () => now });
  strictEqual((await audits(sql)).length, 1);
});

Deno.test("while the database is read-only the schedule logs it once an entry, and continues afterwards", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const condition = await makeReadOnly(database);
  const readOnly = connect({ url: otherAddress(database), max: 2 });
  const end = new AbortController();
  const lines: string[] = [];
  const following = followSchedule(SCHEDULE, {
    sql: readOnly,
    log: (_, event, fields) => lines.push(`${event}: ${fields?.name}`),
    signal: end.signal,
    checkMs: 10,
  });
  await eventually("it has tried", () => Promise.resolve(lines.length > 1));
  await delay(200);
  await condition.end();
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`;
  await eventually("it goes on", async () => {
    const runs = await sql`select from lotline.cron_runs`.catch(() => []);
    return runs.length === SCHEDULE.length;
  });
  end.abort();
  await following;
  await readOnly.end({ timeout: 1 });
  deepStrictEqual(
    lines.filter((line) => line.startsWith("scheduled_work_not_queued")).sort(),
    [
      "scheduled_work_not_queued: audit",
      "scheduled_work_not_queued: upkeep",
    ],
  );
});
