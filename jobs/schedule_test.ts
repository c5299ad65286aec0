import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { Slot } from "../db/cron_runs.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import {
  cronExpression,
  followSchedule,
  lastSlot,
  SCHEDULE,
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
    // Where a summer time begins: UTC knows none.
    [{ hour: 2, minute: 30 }, "2026-03-29T12:00:00.000Z", "2026-03-29T02:30:00.000Z"],
    [{ hour: 23, minute: 59 }, "2028-03-01T00:00:00.000Z", "2028-02-29T23:59:00.000Z"],
  ];
  for (const [at, now, slot] of cases) {
    strictEqual(new Date(lastSlot(entryAt(at), Date.parse(now))).toISOString(), slot, now);
  }
  strictEqual(cronExpression(entryAt({ minute: 20 })), "20 * * * *");
  strictEqual(cronExpression(entryAt({ hour: 2, minute: 0 })), "0 2 * * *");
});

Deno.test("every entry has a name of its own and a time that exists", () => {
  strictEqual(new Set(SCHEDULE.map(({ name }) => name)).size, SCHEDULE.length);
  for (const { at: { hour = 0, minute } } of SCHEDULE) {
    ok(hour >= 0 && hour < 24 && minute >= 0 && minute < 60);
  }
});

Deno.test("what was missed is done at the start, again and again until it can be, and ends when it is asked to", async () => {
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
  // One that is over before it has begun must not hold the process.
  await followSchedule([entry], { sql, log: () => logged++, signal: end.signal });
});

Deno.test("every entry's job is in the queue once a slot, whoever starts, and not twice at a time", async () => {
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
