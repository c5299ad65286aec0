import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { openSession } from "../db/session.ts";
import { findTraceById, finishTrace, insertTrace } from "../db/traces.ts";
import { pageOf } from "../routes/deep_trace_result.ts";
import { DeepTrace } from "../routes/deep_trace_shapes.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { type GivenLink, insertChain, insertLinks, insertLots } from "../testing/genealogy.ts";
import { OPTIONS, type Requested, resultOf } from "../testing/taken_trace.ts";
import { inSameSnapshot, inSnapshot } from "./snapshot.ts";
import { takeTrace } from "./take_trace.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

// A language's order of letters, which most databases have, is not that of their bytes.
await sql`alter table lots alter column lot_code type text collate "und-x-icu"`;

const newSession = () => openSession(database.url, { name: "lotline-test-trace" });

Deno.test("a trace counts the links that it could not follow, in its direction", async () => {
  await using session = newSession();
  const [a = "", b = "", c = ""] = await insertChain(sql, "HALF", 3);
  const links: GivenLink[] = [[b, null], [b, null], [null, b], [c, null], [null, null], [null, a]];
  await insertLinks(sql, links);
  const half = async (requested: Omit<Requested, "lotCode">) =>
    (await resultOf(sql, session, { lotCode: "HALF-0", ...requested })).half_links;
  deepStrictEqual([
    await half({ direction: "downstream" }),
    await half({ direction: "upstream" }),
    await half({ direction: "both" }),
    // The lots at a limit count.
    await half({ direction: "downstream", maxDepth: 1 }),
    await half({ direction: "downstream", atMost: 1 }),
  ], [3, 1, 4, 2, 0]);
});

Deno.test("a result that was stored before half links were counted has null as their count", async () => {
  await insertChain(sql, "OLD", 2);
  const requested = {
    direction: "downstream",
    maxDepth: null,
    atMost: 9,
    lotCode: "OLD-0",
  } as const;
  const request = { ...requested, id: crypto.randomUUID() };
  const lotId = await insertTrace(sql, request, null) ?? "";
  await using session = newSession();
  await inSnapshot(session, OPTIONS, async (snapshot) => {
    const { summary, ...rest } = await takeTrace(snapshot, { ...request, lotId }, {
      attemptId: crypto.randomUUID(),
      onLevel: () => {},
      onSecondSession: (snapshot, work) => work(snapshot),
    });
    const { half_links, ...old } = summary;
    strictEqual(half_links, 0);
    await finishTrace(snapshot.sql, request.id, { ...rest, summary: old });
  });
  const stored = await findTraceById(sql, request.id);
  if (stored === undefined) throw new Error("the trace is gone");
  const { result } = DeepTrace.parse(JSON.parse(await pageOf(sql, stored, { limit: 1 })));
  strictEqual(result?.half_links, null);
});

Deno.test("a trace shows one moment, whatever is written while it is taken", async () => {
  const [first = "", second = "", third = ""] = await insertChain(sql, "MOMENT", 3);
  const [late = ""] = await insertLots(sql, [{ lot_code: "MOMENT-LATE" }]);
  await using session = newSession();
  const write = async () => {
    await sql`delete from lot_genealogy where child_lot_id = ${third}`;
    await insertLinks(sql, [[first, late], [second, late]]);
    await sql`update lots set weight_kg = 7 where id = ${second}`;
  };
  const requested = { lotCode: "MOMENT-0", direction: "downstream" } as const;
  const before = await resultOf(sql, session, requested, { before: write });
  deepStrictEqual(before.lots.map(({ id, weight_kg }) => [id, weight_kg]), [
    [first, null],
    [second, null],
    [third, null],
  ]);
  strictEqual(before.link_count, 2);
  const after = await resultOf(sql, session, requested);
  deepStrictEqual(after.lots.map(({ id }) => id), [first, second, late]);
});

Deno.test("links that are read on a second session are those of the same moment", async () => {
  const [first = "", second = ""] = await insertChain(sql, "BESIDE", 2);
  await using session = newSession();
  await using other = newSession();
  const result = await resultOf(sql, session, { lotCode: "BESIDE-0", direction: "downstream" }, {
    async onSecondSession(snapshot, work) {
      await insertLinks(sql, [[second, first]]);
      return await inSameSnapshot(snapshot, other, OPTIONS, work);
    },
  });
  deepStrictEqual([result.lot_count, result.link_count, result.cycles], [2, 1, []]);
});

Deno.test("a chain of 10,000 levels is traced to its end, and its cycle is found", async () => {
  const ids = await insertChain(sql, "CHAIN", 10_000);
  await insertLinks(sql, [[ids.at(-1) ?? null, ids[0] ?? null]]);
  await using session = newSession();
  const requested = { lotCode: "CHAIN-0", direction: "upstream" } as const;
  const result = await resultOf(sql, session, requested);
  deepStrictEqual(
    [result.lot_count, result.link_count, result.depth_reached, result.truncated],
    [10_000, 10_000, 9_999, false],
  );
  deepStrictEqual(result.cycles.map(({ length }) => length), [10_000]);
  strictEqual(result.cycles_truncated, false);

  // One lot more on cycles than are returned.
  await insertLinks(sql, [[ids[7] ?? null, ids[7] ?? null]]);
  const more = await resultOf(sql, session, requested);
  deepStrictEqual([more.cycles.length, more.cycles_truncated], [1, true]);
});

Deno.test("a lot with 3,000 children at the end of a chain is traced with all of them", async () => {
  const ids = await insertChain(sql, "NARROW", 20);
  const children = Array.from({ length: 3_000 }, (_, i) => ({ lot_code: `NARROW-CHILD-${i}` }));
  const grown = await insertLots(sql, children);
  const last = ids.at(-1) ?? null;
  await insertLinks(
    sql,
    grown.flatMap((lot): GivenLink[] => [[last, lot], [lot, grown[0] ?? null]]),
  );
  await using session = newSession();
  const result = await resultOf(sql, session, { lotCode: "NARROW-0", direction: "downstream" });
  deepStrictEqual([result.lot_count, result.link_count], [3_020, 19 + 6_000]);
});

Deno.test("of more than 100 cycles 100 are returned, as truncated", async () => {
  const [hub = "", ...others] = await insertChain(sql, "HUB", 102);
  await insertLinks(sql, others.flatMap((lot): GivenLink[] => [[lot, lot]]));
  await using session = newSession();
  const result = await resultOf(sql, session, { lotCode: "HUB-0", direction: "downstream" });
  deepStrictEqual([result.cycles.length, result.cycles_truncated], [100, true]);
  ok(!result.cycles.flat().includes(hub));
});

Deno.test("lots are stored in pieces of at most 1,000 lines or about a million bytes", async () => {
  const ids = await insertChain(sql, "LARGE", 4);
  await sql`update lots set metadata = to_jsonb(repeat('x', 700000)) where id = any(${`{${ids}}`}::uuid[])`;
  const star = await insertLots(
    sql,
    Array.from({ length: 1_500 }, (_, i) => ({ lot_code: `STAR-${i}` })),
  );
  await insertLinks(sql, star.map((lot): GivenLink => [star[0] ?? null, lot]));
  await using session = newSession();
  await resultOf(sql, session, { lotCode: "LARGE-0", direction: "downstream" });
  await resultOf(sql, session, { lotCode: "STAR-0", direction: "downstream" });
  const pieces = await sql`
    select kind, first_line, lines, cardinality(lot_ids) as lots from lotline.trace_chunks
    join lotline.traces using (run) where lot_code in ('LARGE-0', 'STAR-0') order by lot_code, number`;
  deepStrictEqual(pieces.map((piece) => Object.values(piece)), [
    ["lots", 0, 1, 1],
    ["lots", 1, 1, 1],
    ["lots", 2, 2, 2],
    ["links", 0, 3, null],
    ["lots", 0, 1_000, 1_000],
    ["lots", 1_000, 500, 500],
    ["links", 0, 1_000, null],
    ["links", 1_000, 500, null],
  ]);
});

Deno.test("work in a snapshot ends when its signal is aborted, in PostgreSQL as well", async () => {
  await using session = newSession();
  const abort = new AbortController();
  const reason = new Error("no longer wanted");
  const work = inSnapshot(session, { ...OPTIONS, signal: abort.signal }, async ({ sql }) => {
    await sql`select pg_sleep(60)`;
  });
  const isSleeping = async () => {
    const [row] = await sql<{ count: number }[]>`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and query like '%pg_sleep(60)%' and pid <> pg_backend_pid()`;
    return row?.count === 1;
  };
  await eventually("the work goes on", isSleeping);
  abort.abort(reason);
  await rejects(work, reason);
  await eventually("PostgreSQL has stopped", async () => !await isSleeping());
});
