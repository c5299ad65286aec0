import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { readOutbox, removeFromOutbox } from "../db/outbox.ts";
import { openSession } from "../db/session.ts";
import {
  boundChangedLots,
  markOutOfDate,
  noteChangedLots,
  noteLostChanges,
  wakeRefresh,
} from "../db/trace_changes.ts";
import { finishTrace, insertTrace, queueTrace } from "../db/traces.ts";
import { inSnapshot } from "../lineage/snapshot.ts";
import { takeTrace, TRACE_SETTINGS } from "../lineage/take_trace.ts";
import { eventually } from "../testing/eventually.ts";
import { freshDatabase } from "../testing/database.ts";
import { insertChain, insertLinks, insertLots } from "../testing/genealogy.ts";
import type { Major } from "../testing/postgres_servers.ts";
import { runJob } from "../testing/run_job.ts";
import { deepTrace } from "./deep_trace.ts";
import { refreshTraces } from "./refresh_traces.ts";

/** A database with a chain A-0 → A-1 → A-2 and helpers for traces of it. */
async function newPlant(major: Major = 17) {
  const database = await freshDatabase({ major });
  const { sql, url } = database;
  const chain = await insertChain(sql, "A", 3);
  await sql`delete from lotline.outbox`;
  const waiting = async (id = crypto.randomUUID()) => {
    const requested = { id, direction: "downstream", maxDepth: null, atMost: 100 } as const;
    await insertTrace(sql, { ...requested, lotCode: "A-0" }, null);
    await queueTrace(sql, id, "tester", { ofAccount: 100, waiting: 100 });
    return id;
  };
  const take = (traceId: string) => runJob(database, deepTrace, { traceId });
  return {
    sql,
    url,
    chain,
    /** A trace that waits for a worker. */
    waiting,
    take,
    /** A trace that is done. */
    async done() {
      const id = await waiting();
      await take(id);
      await sql`update lotline.jobs set state = 'done' where state = 'ready' and kind = 'deep_trace'`;
      return id;
    },
    /**
     * Waits until no transaction of the whole server is older than the change; until then, more
     * notes are stored than needed.
     */
    untilSeenByAll: () =>
      eventually("older transactions have ended", async () => {
        const [row] = await sql<{ isSeen: boolean }[]>`
          select pg_snapshot_xmin(pg_current_snapshot()) > max(xid::text::numeric)::text::xid8
            as "isSeen"
          from lotline.outbox`;
        return row?.isSeen === true;
      }),
    touch: (lot = chain[1] ?? "") => sql`update lots set weight_kg = random() where id = ${lot}`,
    /** The relay's work on the changes. */
    async relay() {
      await sql`with removed as (delete from lotline.outbox returning *)
        ${noteChangedLots(sql, sql`removed`)}`;
      await wakeRefresh(sql);
    },
    /** Runs the job if it is queued; returns whether it was. */
    async refresh() {
      const jobs = await sql`
        update lotline.jobs set state = 'done' where kind = 'refresh_traces' and state = 'ready'
        returning id`;
      if (jobs.length > 0) await runJob(database, refreshTraces, {});
      return jobs.length > 0;
    },
    async isMarked(id: string) {
      const [row] = await sql`select out_of_date from lotline.traces where id = ${id}`;
      return row?.out_of_date;
    },
    async kept() {
      const [row] = await sql`select count(*)::int as count from lotline.changed_lots`;
      return row?.count;
    },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

type Plant = Awaited<ReturnType<typeof newPlant>>;

const CHANGES: [what: string, change: (plant: Plant) => PromiseLike<unknown>, isOne: boolean][] = [
  ["a lot of it was changed", ({ touch }) => touch(), true],
  [
    "a lot of it got another code",
    ({ sql, chain }) => sql`update lots set lot_code = 'B' where id = ${chain[2] ?? ""}`,
    true,
  ],
  ["a lot of it got a child", async ({ sql, chain }) => {
    const [lot = ""] = await insertLots(sql, [{ lot_code: "CHILD" }]);
    await insertLinks(sql, [[chain[2] ?? "", lot]]);
  }, true],
  [
    "a link of it was deleted",
    ({ sql, chain }) => sql`delete from lot_genealogy where child_lot_id = ${chain[1] ?? ""}`,
    true,
  ],
  [
    "a link of it was moved",
    ({ sql, chain }) =>
      sql`update lot_genealogy set parent_lot_id = null where child_lot_id = ${chain[1] ?? ""}`,
    true,
  ],
  [
    "a link of it has another quantity",
    ({ sql, chain }) =>
      sql`update lot_genealogy set quantity_used_kg = 3 where child_lot_id = ${chain[1] ?? ""}`,
    true,
  ],
  [
    "very many links were changed",
    ({ sql, chain }) =>
      sql`insert into lot_genealogy (parent_lot_id, child_lot_id)
      select ${chain[1] ?? ""}, ${chain[2] ?? ""} from generate_series(1, 1200)`,
    true,
  ],
  ["all links were removed", ({ sql }) => sql`truncate lot_genealogy`, true],
  ["other lots were stored and linked", ({ sql }) => insertChain(sql, "OTHER", 3), false],
  [
    "very many lots were stored",
    ({ sql }) =>
      sql`insert into lots (lot_code) select 'MANY-' || n from generate_series(1, 1200) n`,
    false,
  ],
  [
    "something was decided about a lot of it",
    ({ sql, chain }) =>
      sql`insert into qc_decisions (lot_id, decision) values (${chain[1] ?? ""}, 'HOLD')`,
    false,
  ],
];

for (const [what, change, isOne] of CHANGES) {
  Deno.test(`a trace is ${isOne ? "" : "not "}out of date after ${what}`, async () => {
    await using plant = await newPlant();
    const id = await plant.done();
    await change(plant);
    await plant.relay();
    deepStrictEqual([await plant.refresh(), await plant.isMarked(id)], [isOne, isOne]);
    strictEqual(await plant.kept(), 0);
  });
}

Deno.test("traces are made and marked on PostgreSQL 15 as well", async () => {
  await using plant = await newPlant(15);
  const [id, waiting] = [await plant.done(), await plant.waiting()];
  await plant.touch();
  await plant.relay();
  deepStrictEqual([await plant.refresh(), await plant.isMarked(id)], [true, true]);
  await plant.take(waiting);
  strictEqual(await plant.isMarked(waiting), false);
});

Deno.test("a change that a trace already shows doesn't make it out of date, however late it is relayed", async () => {
  await using plant = await newPlant();
  const { sql, chain } = plant;
  await plant.touch();
  await sql`insert into lot_genealogy (parent_lot_id, child_lot_id)
    select ${chain[1] ?? ""}, ${chain[2] ?? ""} from generate_series(1, 1200)`;
  const id = await plant.done();
  await plant.relay();
  deepStrictEqual([await plant.refresh(), await plant.isMarked(id)], [false, false]);
});

Deno.test("a transaction that began before a trace and ended after it makes it out of date", async () => {
  await using plant = await newPlant();
  await using other = openSession(plant.url, { name: "lotline-test" });
  await other.sql`begin`;
  await other.sql`update lots set weight_kg = 1 where id = ${plant.chain[1] ?? ""}`;
  const id = await plant.done();
  await other.sql`commit`;
  await plant.relay();
  deepStrictEqual([await plant.refresh(), await plant.isMarked(id)], [true, true]);
});

Deno.test("a change that is relayed while a trace runs marks it after its end", async () => {
  await using plant = await newPlant();
  const { sql, url, chain } = plant;
  const id = await plant.waiting();
  await using session = openSession(url, { name: "lotline-test" });
  const options = { signal: new AbortController().signal, settings: TRACE_SETTINGS };
  await inSnapshot(session, options, async (snapshot) => {
    await plant.touch();
    await plant.relay();
    // The job finds nothing to mark yet, and doesn't run repeatedly because of that.
    strictEqual(await plant.refresh(), true);
    await plant.relay();
    strictEqual(await plant.refresh(), false);
    const trace = { id, lotId: chain[0] ?? "", maxDepth: null, atMost: 9 };
    const result = await takeTrace(
      snapshot,
      { ...trace, direction: "downstream" },
      {
        attemptId: crypto.randomUUID(),
        onLevel: () => {},
        onSecondSession: (snapshot, work) => work(snapshot),
      },
    );
    await finishTrace(snapshot.sql, id, result);
  });
  await sql`update lotline.jobs set state = 'done' where kind = 'deep_trace'`;
  strictEqual(await plant.isMarked(id), false);
  await plant.relay();
  deepStrictEqual([await plant.refresh(), await plant.isMarked(id)], [true, true]);
  strictEqual(await plant.kept(), 0);
});

Deno.test("changes since the request of a waiting trace stay noted, and the trace shows them in the end", async () => {
  await using plant = await newPlant();
  await plant.touch();
  await plant.untilSeenByAll();
  const id = await plant.waiting();
  await plant.relay();
  strictEqual(await plant.kept(), 0);
  await plant.touch();
  await plant.relay();
  await plant.refresh();
  strictEqual(await plant.kept(), 1);
  await plant.take(id);
  await plant.relay();
  await plant.refresh();
  deepStrictEqual([await plant.isMarked(id), await plant.kept()], [false, 0]);
});

Deno.test("changes noted while the job runs are for the next one", async () => {
  await using plant = await newPlant();
  const { sql, chain } = plant;
  const id = await plant.done();
  await plant.touch();
  await plant.relay();
  await sql`update lotline.jobs set state = 'running' where kind = 'refresh_traces'`;
  await markOutOfDate(sql);
  await sql`update lotline.traces set out_of_date = false where id = ${id}`;
  await plant.touch(chain[2]);
  await plant.relay();
  strictEqual(await plant.refresh(), false);
  await sql`update lotline.jobs set state = 'done' where kind = 'refresh_traces'`;
  await plant.relay();
  deepStrictEqual([await plant.refresh(), await plant.isMarked(id)], [true, true]);
});

Deno.test("notes for a trace whose process ended early are deleted within a minute", async () => {
  await using plant = await newPlant();
  const { sql } = plant;
  const requested = { direction: "downstream", maxDepth: null, atMost: 9, lotCode: "A-0" } as const;
  await insertTrace(sql, { ...requested, id: crypto.randomUUID() }, null);
  await plant.touch();
  await plant.relay();
  await plant.refresh();
  strictEqual(await plant.kept(), 1);
  await sql`update lotline.traces set created_at = now() - interval '2 minutes'`;
  await plant.relay();
  await plant.refresh();
  strictEqual(await plant.kept(), 0);
});

Deno.test("after lost changes every trace is out of date, and so is a running one", async () => {
  await using plant = await newPlant();
  const { sql } = plant;
  const [done, waiting] = [await plant.done(), await plant.waiting()];
  await noteLostChanges(sql, "1");
  await plant.relay();
  await plant.refresh();
  deepStrictEqual([await plant.isMarked(done), await plant.kept()], [true, 1]);
  await plant.take(waiting);
  await sql`update lotline.jobs set state = 'done' where kind = 'deep_trace'`;
  await plant.relay();
  await plant.refresh();
  // It was made afterwards.
  deepStrictEqual([await plant.isMarked(waiting), await plant.kept()], [false, 0]);
});

Deno.test("too many changed lots become one row that means any lot", async () => {
  await using plant = await newPlant();
  const { sql, chain } = plant;
  const [done] = [await plant.done(), await plant.waiting()];
  for (const lot of chain) await plant.touch(lot);
  await plant.relay();
  await boundChangedLots(sql, 3);
  strictEqual(await plant.kept(), 3);
  await boundChangedLots(sql, 2);
  deepStrictEqual([...await sql`select lot_id from lotline.changed_lots`], [{ lot_id: null }]);
  await plant.refresh();
  strictEqual(await plant.isMarked(done), true);
});

const NEW_LOT = "insert into lots (lot_code) values ('N-' || n);";
const NEW_LINK = `insert into lot_genealogy (child_lot_id)
  select id from lots where lot_code = 'A-1';`;

for (
  const [what, statements, isOne] of [
    ["changes", `${NEW_LOT} ${NEW_LINK}`, true],
    ["new lots", NEW_LOT, false],
  ] as const
) {
  Deno.test(`a trace is ${isOne ? "" : "not "}out of date after more ${what} than are checked one by one`, async () => {
    await using plant = await newPlant();
    const { sql } = plant;
    const id = await plant.done();
    await sql.unsafe(`do $$ begin for n in 1..5001 loop ${statements} end loop; end $$`).simple();
    const batch = await readOutbox(sql, "0");
    strictEqual(batch.many, true);
    await removeFromOutbox(sql, batch);
    await wakeRefresh(sql);
    deepStrictEqual([await plant.refresh(), await plant.isMarked(id)], [isOne, isOne]);
  });
}
