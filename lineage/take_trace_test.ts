import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { Sql } from "../db/sql.ts";
import { openSession, type Session } from "../db/session.ts";
import { type Direction, findTraceById, finishTrace, insertTrace } from "../db/traces.ts";
import { Random } from "../dev/random.ts";
import { pageOf } from "../routes/deep_trace_result.ts";
import { DeepTrace } from "../routes/deep_trace_shapes.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { type GivenLink, insertChain, insertLinks, insertLots } from "../testing/genealogy.ts";
import { inSameSnapshot, inSnapshot } from "./snapshot.ts";
import { type TakeOptions, takeTrace, TRACE_SETTINGS } from "./take_trace.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

// A language's order of letters, which most databases have, is not that of their bytes.
await sql`alter table lots alter column lot_code type text collate "und-x-icu"`;

const newSession = () => openSession(database.url, { name: "lotline-test-trace" });
const OPTIONS = { signal: new AbortController().signal, settings: TRACE_SETTINGS };

interface Requested {
  readonly lotCode: string;
  readonly direction: Direction;
  readonly maxDepth?: number | null;
  readonly atMost?: number;
}

/** Takes a trace; gives its result as it is answered, in one page. */
async function resultOf(
  session: Session,
  requested: Requested,
  { before = () => Promise.resolve(), onSecondSession = (snapshot, work) => work(snapshot) }: {
    before?: () => Promise<void>;
    onSecondSession?: TakeOptions["onSecondSession"];
  } = {},
) {
  const id = crypto.randomUUID();
  const request = { maxDepth: null, atMost: 10_000, ...requested, id };
  const lotId = await insertTrace(sql, request, null);
  if (lotId === undefined) throw new Error(`no lot ${requested.lotCode}`);
  await inSnapshot(session, OPTIONS, async (snapshot) => {
    await before();
    const result = await takeTrace(snapshot, { ...request, lotId }, {
      attemptId: crypto.randomUUID(),
      onLevel: () => {},
      onSecondSession,
    });
    await finishTrace(snapshot.sql, id, result);
  });
  const stored = await findTraceById(sql, id);
  if (stored === undefined) throw new Error("the trace is gone");
  const { result } = DeepTrace.parse(JSON.parse(await pageOf(sql, stored, { limit: 10_000 })));
  if (result === null) throw new Error("the trace is not done");
  return result;
}

interface Graph {
  readonly ids: readonly string[];
  readonly codes: readonly string[];
  readonly types: readonly (string | null)[];
  /** In hundredths; null: none. */
  readonly weights: readonly (number | null)[];
  readonly links: readonly GivenLink[];
}

const TYPES = ["RAW", "MIX", "FG", null] as const;

function randomGraph(random: Random, number: number): Graph {
  const below = (max: number) => Math.floor(random.between(0, max));
  const lots = 1 + below(14);
  // Codes and ids in orders of their own, so that neither can stand in for the other.
  const ids = Array.from({ length: lots }, () => random.uuid());
  const codes = ids.map((_, lot) => `${random.pick(["é", "a", "B", "_", "Z"])}${number}-${lot}`);
  const end = () => below(20) === 0 ? null : ids[below(lots)] ?? null;
  const links: GivenLink[] = Array.from(
    { length: below(26) },
    () => [end(), end(), `${below(90)}.0`],
  );
  return {
    ids,
    codes,
    types: ids.map(() => random.pick(TYPES)),
    weights: ids.map(() => below(4) === 0 ? null : below(100_000)),
    links: [...links, ...links.slice(0, below(3))],
  };
}

const kilograms = (hundredths: number) => (hundredths / 100).toFixed(2);

async function store(graphs: readonly Graph[]): Promise<void> {
  await insertLots(
    sql,
    graphs.flatMap(({ ids, codes, types, weights }) =>
      ids.map((id, lot) => {
        const weight = weights[lot] ?? null;
        return {
          id,
          lot_code: codes[lot] ?? "",
          lot_type: types[lot] ?? null,
          weight_kg: weight === null ? null : kilograms(weight),
        };
      })
    ),
  );
  await insertLinks(sql, graphs.flatMap(({ links }) => links));
}

/** What the contract says of a trace, walked by brute force. */
function expected({ ids, links }: Graph, { direction, maxDepth, atMost = 10_000 }: Requested) {
  const start = ids[0] ?? "";
  const first = (depths: ReadonlyMap<string, number>) =>
    [...depths].sort(([a, m], [b, n]) => m - n || (a < b ? -1 : 1)).slice(0, atMost);
  const reach = (turned: boolean) => {
    const depths = new Map([[start, 0]]);
    for (let changed = true; changed;) {
      changed = false;
      for (const [parent, child] of links) {
        const [from, to] = turned ? [child, parent] : [parent, child];
        const depth = from === null ? undefined : depths.get(from);
        if (depth === undefined || to === null || (depths.get(to) ?? Infinity) <= depth + 1) {
          continue;
        }
        depths.set(to, depth + 1);
        changed = true;
      }
    }
    const near = [...depths].filter(([, depth]) => depth <= (maxDepth ?? Infinity));
    const kept = new Map(first(new Map(near)));
    const half = (id: string) =>
      links.filter(([parent, child]) =>
        turned ? child === id && parent === null : parent === id && child === null
      ).length;
    return { kept, half, truncated: kept.size < depths.size };
  };
  const ways = [
    ...direction === "downstream" ? [] : [reach(true)],
    ...direction === "upstream" ? [] : [reach(false)],
  ];
  const union = new Map<string, number>();
  for (const { kept } of ways) {
    for (const [id, depth] of kept) union.set(id, Math.min(depth, union.get(id) ?? Infinity));
  }
  const depths = new Map(first(union));
  const isOn = (kept: ReadonlyMap<string, number>, id: string | null) =>
    id !== null && kept.has(id) && depths.has(id);
  return {
    depths,
    links: links.filter(([parent, child]) =>
      ways.some(({ kept }) => isOn(kept, parent) && isOn(kept, child))
    ),
    halfLinks: ways.flatMap(({ kept, half }) =>
      [...kept.keys()].filter((id) => depths.has(id)).map(half)
    ).reduce((sum, half) => sum + half, 0),
    truncated: ways.some(({ truncated }) => truncated) || depths.size < union.size,
  };
}

/** The lots that can be reached from themselves over these links. */
function lotsOnCycles(links: readonly GivenLink[]): Set<string> {
  const found = new Set<string>();
  for (const [start] of links) {
    const reached = new Set<string | null>();
    const next = [start];
    for (const lot of next) {
      for (const [parent, child] of links) {
        if (parent !== lot || reached.has(child)) continue;
        reached.add(child);
        next.push(child);
      }
    }
    if (start !== null && reached.has(start)) found.add(start);
  }
  return found;
}

Deno.test("300 random genealogies are traced as the contract says, whatever is wrong with them", async () => {
  const random = new Random(2);
  const graphs = Array.from({ length: 300 }, (_, number) => randomGraph(random, number));
  await store(graphs);
  await using session = newSession();
  let cut = 0, cyclic = 0;
  for (const graph of graphs) {
    const { ids, codes, types, weights } = graph;
    const limited = random.next() < 0.8;
    const requested: Requested = {
      lotCode: codes[0] ?? "",
      direction: random.pick<Direction>(["upstream", "downstream", "both"]),
      ...limited && {
        maxDepth: random.next() < 0.3 ? null : Math.ceil(random.between(0, 3)),
        atMost: Math.ceil(random.between(0, 12)),
      },
    };
    const result = await resultOf(session, requested);
    const right = expected(graph, requested);
    const place = (id: string) => ids.indexOf(id);
    const code = (id: string) => codes[place(id)] ?? "";
    const bytes = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
    const order = [...right.depths].sort(([a, m], [b, n]) =>
      m - n || (bytes(code(a)) < bytes(code(b)) ? -1 : 1)
    );
    deepStrictEqual(result.lots.map(({ id, depth }) => [id, depth]), order);
    deepStrictEqual(result.lots.map(({ lot_code }) => lot_code), order.map(([id]) => code(id)));
    const rows = result.links.map((link) =>
      [link.parent_lot_id, link.child_lot_id, link.quantity_used_kg].join()
    );
    deepStrictEqual(rows.toSorted(), right.links.map((link) => link.join()).sort());
    deepStrictEqual(
      [
        result.truncated,
        result.lot_count,
        result.link_count,
        result.half_links,
        result.depth_reached,
      ],
      [
        right.truncated,
        order.length,
        right.links.length,
        right.halfLinks,
        order.at(-1)?.[1],
      ],
    );

    const totals = TYPES.flatMap((lot_type) => {
      const own = order.map(([id]) => place(id)).filter((lot) => types[lot] === lot_type);
      const weighed = own.map((lot) => weights[lot] ?? null).filter((weight) => weight !== null);
      const sum = weighed.reduce((sum, weight) => sum + weight, 0);
      const weight_kg = weighed.length === 0 ? null : kilograms(sum);
      return own.length === 0 ? [] : [{ lot_type, lots: own.length, weight_kg }];
    });
    deepStrictEqual(result.totals, totals);

    const isLinked = new Set(right.links.map(([a, b]) => `${code(a ?? "")} ${code(b ?? "")}`));
    for (const cycle of result.cycles) {
      cycle.forEach((lot, i) => ok(isLinked.has(`${lot} ${cycle[(i + 1) % cycle.length]}`)));
    }
    const onCycles = lotsOnCycles(right.links);
    deepStrictEqual(
      [...new Set(result.cycles.flat())].sort(),
      [...onCycles].map(code).sort(),
    );
    strictEqual(result.cycles_truncated, false);
    cut += Number(result.truncated);
    cyclic += Number(onCycles.size > 0);

    if (!limited && requested.direction !== "both") {
      const found = await recursively(sql, requested.lotCode, requested.direction);
      deepStrictEqual(result.lots.map(({ id }) => id).sort(), found.lots);
      deepStrictEqual(rows.toSorted(), found.links);
    }
  }
  ok(cut > 50 && cyclic > 50, `${cut} were cut, ${cyclic} had cycles`);
});

/** The same sets by a recursive statement, without depths and limits. */
async function recursively(sql: Sql, lotCode: string, way: "upstream" | "downstream") {
  const [from, to] = way === "upstream"
    ? [sql`child_lot_id`, sql`parent_lot_id`]
    : [sql`parent_lot_id`, sql`child_lot_id`];
  const [found] = await sql<{ lots: string[]; links: string[] }[]>`
    with recursive reached as (
      select id from lots where lot_code = ${lotCode}
      union
      select ${to} from lot_genealogy join reached on ${from} = reached.id where ${to} is not null
    )
    select (select jsonb_agg(id order by id) from reached) as lots,
      (select coalesce(jsonb_agg(concat_ws(',', parent_lot_id, child_lot_id, quantity_used_kg)), '[]')
        from lot_genealogy
        where parent_lot_id in (select id from reached) and child_lot_id in (select id from reached)
      ) as links`;
  return { lots: found?.lots ?? [], links: found?.links.sort() ?? [] };
}

Deno.test("a trace says how many links it could not follow, for the way that it goes", async () => {
  await using session = newSession();
  const [a = "", b = "", c = ""] = await insertChain(sql, "HALF", 3);
  const links: GivenLink[] = [[b, null], [b, null], [null, b], [c, null], [null, null], [null, a]];
  await insertLinks(sql, links);
  const half = async (requested: Omit<Requested, "lotCode">) =>
    (await resultOf(session, { lotCode: "HALF-0", ...requested })).half_links;
  deepStrictEqual([
    await half({ direction: "downstream" }),
    await half({ direction: "upstream" }),
    await half({ direction: "both" }),
    // The lots at a limit count.
    await half({ direction: "downstream", maxDepth: 1 }),
    await half({ direction: "downstream", atMost: 1 }),
  ], [3, 1, 4, 2, 0]);
});

Deno.test("a result that was stored before half links were counted says that it has no count", async () => {
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
  const before = await resultOf(session, requested, { before: write });
  deepStrictEqual(before.lots.map(({ id, weight_kg }) => [id, weight_kg]), [
    [first, null],
    [second, null],
    [third, null],
  ]);
  strictEqual(before.link_count, 2);
  const after = await resultOf(session, requested);
  deepStrictEqual(after.lots.map(({ id }) => id), [first, second, late]);
});

Deno.test("links that are read on a second session are those of the same moment", async () => {
  const [first = "", second = ""] = await insertChain(sql, "BESIDE", 2);
  await using session = newSession();
  await using other = newSession();
  const result = await resultOf(session, { lotCode: "BESIDE-0", direction: "downstream" }, {
    async onSecondSession(snapshot, work) {
      await insertLinks(sql, [[second, first]]);
      return await inSameSnapshot(snapshot, other, OPTIONS, work);
    },
  });
  deepStrictEqual([result.lot_count, result.link_count, result.cycles], [2, 1, []]);
});

Deno.test("a chain of 10,000 levels is traced to its end, and its ring is told", async () => {
  const ids = await insertChain(sql, "CHAIN", 10_000);
  await insertLinks(sql, [[ids.at(-1) ?? null, ids[0] ?? null]]);
  await using session = newSession();
  const requested = { lotCode: "CHAIN-0", direction: "upstream" } as const;
  const result = await resultOf(session, requested);
  deepStrictEqual(
    [result.lot_count, result.link_count, result.depth_reached, result.truncated],
    [10_000, 10_000, 9_999, false],
  );
  deepStrictEqual(result.cycles.map(({ length }) => length), [10_000]);
  strictEqual(result.cycles_truncated, false);

  // One lot more on cycles than are told.
  await insertLinks(sql, [[ids[7] ?? null, ids[7] ?? null]]);
  const more = await resultOf(session, requested);
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
  const result = await resultOf(session, { lotCode: "NARROW-0", direction: "downstream" });
  deepStrictEqual([result.lot_count, result.link_count], [3_020, 19 + 6_000]);
});

Deno.test("more cycles than 100 are cut, and that is said", async () => {
  const [hub = "", ...others] = await insertChain(sql, "HUB", 102);
  await insertLinks(sql, others.flatMap((lot): GivenLink[] => [[lot, lot]]));
  await using session = newSession();
  const result = await resultOf(session, { lotCode: "HUB-0", direction: "downstream" });
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
  await resultOf(session, { lotCode: "LARGE-0", direction: "downstream" });
  await resultOf(session, { lotCode: "STAR-0", direction: "downstream" });
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
