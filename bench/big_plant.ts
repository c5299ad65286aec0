/**
 * A plant of any size: campaigns, each one tree of lots that starts at a raw one, with no links
 * between them.
 *
 * @module
 */

import type { Sql } from "../db/sql.ts";

/** What {@link fillBigPlant} has stored in the database. */
export interface BigPlant {
  readonly lots: number;
  readonly links: number;
  /** The first lot of each campaign; its downstream trace has all lots of that campaign. */
  readonly firstLots: readonly string[];
}

/**
 * Fills empty tables with about as many lots, in campaigns of `size` lots each. Each lot of a
 * campaign is made of two or three earlier ones, not too far back. So a campaign has about 4 ×
 * ln(size) levels, and all its lots descend from its first. The same arguments always make the same
 * rows.
 *
 * A million lots with 2.5 million links take about a minute. One transaction writes them, without
 * triggers and foreign keys (`session_replication_role`, which needs a superuser).
 */
export async function fillBigPlant(
  sql: Sql,
  lots: number,
  size: number,
): Promise<BigPlant> {
  const count = Math.max(1, Math.floor(lots / size));
  await sql.unsafe(fillStatements(size, count));
  await sql`vacuum analyze lots, lot_genealogy`;
  const [counts] = await sql<{ lots: number; links: number }[]>`
    select (select count(*)::int from lots) as lots,
      (select count(*)::int from lot_genealogy) as links`;
  if (counts === undefined) throw new Error("a count returned no row");
  return { ...counts, firstLots: Array.from({ length: count }, (_, n) => `C${size}-${n}-0`) };
}

// A hash in place of random(): the same arguments always make the same share from 0 to 1.
const share = (of: string) =>
  `((hashtextextended(size || '-' || number || '-' || place || '${of}', 7) & 16777215) / 16777216.0)`;
const idOf = (place: string) => `md5('lot ' || size || '-' || number || '-' || ${place})::uuid`;

const fillStatements = (size: number, count: number) => `
  begin;
  set local session_replication_role = replica;
  create temporary table places on commit drop as
    select size, number, place
    from (values (${size}, ${count})) campaigns (size, count),
      generate_series(0, count - 1) number, generate_series(0, size - 1) place;
  insert into lots (id, lot_code, lot_type, weight_kg, temperature_c, metadata, created_at)
    select ${idOf("place")}, 'C' || size || '-' || number || '-' || place,
      (array['RAW', 'DEB', 'BULK', 'MIX', 'SKW', 'FRZ', 'FG'])[1 + 7 * place / size],
      round(100 + 900 * ${share("weight")}::numeric, 2), round(4 * ${share("heat")}::numeric, 1),
      jsonb_build_object('supplier', 'Duna', 'shift', place % 3),
      timestamptz '2026-01-01' + place * interval '1 minute'
    from places;
  insert into lot_genealogy (id, parent_lot_id, child_lot_id, quantity_used_kg, linked_at)
    select md5('link ' || size || '-' || number || '-' || place || '-' || parent)::uuid,
      ${idOf("trunc(place * (0.6 + 0.4 * far))")}, ${idOf("place")},
      round(10 + 90 * far::numeric, 2), timestamptz '2026-01-01' + place * interval '1 minute'
    from places, lateral (values (1, ${share("first")}), (2, ${share("second")}), (3, ${
  share("third")
})) parents (parent, far)
    where place > 0 and (parent < 3 or place % 2 = 0);
  commit`;
