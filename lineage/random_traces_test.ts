import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { openSession } from "../db/session.ts";
import type { Sql } from "../db/sql.ts";
import type { Direction } from "../db/traces.ts";
import { Random } from "../dev/random.ts";
import { freshDatabase } from "../testing/database.ts";
import { type GivenLink, insertLinks, insertLots } from "../testing/genealogy.ts";
import { type Requested, resultOf } from "../testing/taken_trace.ts";

const database = await freshDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

// A language's order of letters, which most databases have, is not that of their bytes.
await sql`alter table lots alter column lot_code type text collate "und-x-icu"`;

const newSession = () => openSession(database.url, { name: "lotline-test-trace" });

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
    const result = await resultOf(sql, session, requested);
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
