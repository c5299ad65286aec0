import type { Sql } from "../db/sql.ts";

/** A lot with links around it. */
interface GivenStar {
  readonly code: string;
  readonly children: number;
  readonly parents?: number;
  /** The metadata of each lot around it, as PostgreSQL's JSON; small and unusual by default. */
  readonly metadata?: string;
}

const ODD = `{"bb": 1.10, "a": [1, null, 1e3], "2": "é\\n", "1": {"漢": "😀", "": -0.0}}`;

/**
 * Stores a lot, its children `CODE-1`, `CODE-2`, … and its parents `CODE-up-1`, …. Their links are
 * stored in this order, a second apart. It is also the order in which the old server, which sorts
 * nothing, finds them.
 */
export async function insertStar(
  sql: Sql,
  { code, children, parents = 0, metadata = ODD }: GivenStar,
): Promise<void> {
  await sql`
    insert into lots (lot_code, lot_type, weight_kg, temperature_c, metadata)
    values (${code}, 'MIX', 540.0, -18.50, '{"b": 1.0}')`;
  for (const [name, count, isChild] of [["up-", parents, false], ["", children, true]] as const) {
    const prefix = `${code}-${name}`;
    await sql`
      insert into lots (lot_code, lot_type, weight_kg, temperature_c, metadata, created_at)
      select ${prefix} || n, case when n % 3 = 0 then 'FG' end, n::numeric / 100, null,
        ${metadata}::text::jsonb, timestamptz '2026-01-18 08:01:02.123999+01' + n * interval '1 ms'
      from generate_series(1, ${count}::int) n`;
    await sql`
      insert into lot_genealogy (parent_lot_id, child_lot_id, linked_at)
      select case when ${isChild} then star.id else lot.id end,
        case when ${isChild} then lot.id else star.id end, '2026-01-18'::timestamptz + n * interval '1 s'
      from lots star, generate_series(1, ${count}::int) n join lots lot on lot.lot_code = ${prefix} || n
      where star.lot_code = ${code} order by n`;
  }
}

/** Metadata large enough that a few rows make a large trace. */
const HUGE = JSON.stringify({ text: "é".repeat(30_000) });

/** Lots whose traces are large: by children, by parents, by both, and by the size of their rows. */
export async function insertLargeTraces(sql: Sql): Promise<void> {
  await insertStar(sql, { code: "HOT", children: 30_000 });
  await insertStar(sql, { code: "WARM", children: 501, parents: 2 });
  await insertStar(sql, { code: "BOTH", children: 2_000, parents: 3_000 });
  await insertStar(sql, { code: "UP", children: 0, parents: 600 });
  await insertStar(sql, { code: "FULL", children: 500, parents: 500 });
  await insertStar(sql, { code: "WIDE", children: 3, parents: 1, metadata: HUGE });
  await sql`analyze`;
}
