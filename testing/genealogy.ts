import type { Sql } from "../db/sql.ts";

/** A lot to store; absent fields get their defaults, values are text as PostgreSQL reads it. */
interface GivenLot {
  readonly id?: string;
  readonly lot_code: string;
  readonly lot_type?: string | null;
  readonly weight_kg?: string | null;
  readonly metadata?: string;
  readonly created_at?: string;
}

/** A link to store, between ids; null: that side is missing. */
export type GivenLink = readonly [parent: string | null, child: string | null, quantity?: string];

/** Stores lots; returns their ids in the same order. */
export async function insertLots(sql: Sql, lots: readonly GivenLot[]): Promise<string[]> {
  const rows = lots.map((lot) => ({ id: crypto.randomUUID(), metadata: "{}", ...lot }));
  await sql`
    insert into lots (id, lot_code, lot_type, weight_kg, metadata, created_at)
    select id, lot_code, lot_type, weight_kg, metadata::jsonb, coalesce(created_at, now())
    from jsonb_to_recordset(${sql.json(rows)}) as given (id uuid, lot_code text, lot_type text,
      weight_kg numeric, metadata text, created_at timestamptz)`;
  return rows.map(({ id }) => id);
}

/** Stores links. */
export async function insertLinks(sql: Sql, links: readonly GivenLink[]): Promise<void> {
  const rows = links.map(([parent, child, quantity = "1.50"]) => ({ parent, child, quantity }));
  await sql`
    insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
    select parent, child, quantity from jsonb_to_recordset(${sql.json(rows)})
      as given (parent uuid, child uuid, quantity numeric)`;
}

/** Stores lots, each the child of the one before; returns their ids. */
export async function insertChain(sql: Sql, code: string, length: number): Promise<string[]> {
  const lots = Array.from({ length }, (_, place) => ({ lot_code: `${code}-${place}` }));
  const ids = await insertLots(sql, lots);
  const links = ids.slice(1).map((id, place): GivenLink => [ids[place] ?? null, id]);
  await insertLinks(sql, links);
  return ids;
}

/**
 * Stores a lot, `width` children of it, and as many of each of these; returns their ids, the first
 * lot's first.
 */
export async function insertTree(sql: Sql, code: string, width: number): Promise<string[]> {
  const count = 1 + width + width * width;
  const lots = Array.from({ length: count }, (_, place) => ({ lot_code: `${code}-${place}` }));
  const ids = await insertLots(sql, lots);
  const parentOf = (place: number) => ids[Math.floor((place - 1) / width)] ?? null;
  await insertLinks(sql, ids.slice(1).map((id, at): GivenLink => [parentOf(at + 1), id]));
  return ids;
}
