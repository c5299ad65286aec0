import type { Statement } from "../db/sql.ts";
import { findCycles, type OnSteps } from "../lineage/cycles.ts";
import type { Snapshot } from "../lineage/snapshot.ts";
import type { KindFindings } from "./findings.ts";

/**
 * The most lots with both parents and children, and links between them, that are searched: about 50
 * bytes a lot and 24 a link, so some hundred MB for four times the expected size of a plant.
 */
const MAX = 10_000_000;
const MAX_CYCLES = 1_000;
/** The most lots of all cycles together, unless the first alone has more. */
const MAX_LOTS_ON_CYCLES = 200_000;
/** The most lots of a cycle that are named. */
const MAX_LOTS_NAMED = 50;
/** Pages of the table of links that are read at once: some 56,000 links, half a MB. */
const PAGES_AT_ONCE = 250;

/** Lots with both parents and children, numbered from 0 in the order of their ids. */
const NODES = `
  create temporary table audit_nodes on commit drop as
  select id, (row_number() over (order by id) - 1)::int as node
  from (
    select parent_lot_id as id from lot_genealogy where parent_lot_id <> child_lot_id
    intersect
    select child_lot_id from lot_genealogy where parent_lot_id <> child_lot_id
  ) inner_lots`;

const LINKS = `
  create temporary table audit_links on commit drop as
  select parent.node as parent, child.node as child
  from lot_genealogy
  join audit_nodes parent on parent.id = parent_lot_id
  join audit_nodes child on child.id = child_lot_id
  where parent_lot_id <> child_lot_id`;

/**
 * Finds lots that are their own ancestors. PostgreSQL reduces and numbers the graph; it is searched
 * here, since a search in SQL would visit each line of descent again.
 *
 * @throws {RangeError} when there are more than `max` lots or links to search
 */
export async function searchCycles(
  { sql }: Snapshot,
  { max = MAX, onSteps }: { max?: number; onSteps?: OnSteps | undefined } = {},
): Promise<KindFindings> {
  const { count: lots } = await sql.unsafe(NODES);
  const { count } = await sql.unsafe(LINKS);
  if (Math.max(lots, count) > max) {
    throw new RangeError(
      `${lots} lots and ${count} links are too many to search for cycles, ${max} of each the most`,
    );
  }
  const links = await readLinks(sql, count);
  const { cycles, truncated } = findCycles({ ...links, lots, maxCycles: MAX_CYCLES, onSteps });
  const reported = firstOf(cycles);
  const complete = !truncated && reported.length === cycles.length;
  return { kind: "cycle", found: foundCycles(sql, reported), complete };
}

/** The first cycles with {@link MAX_LOTS_ON_CYCLES} together, one at least. */
function firstOf(cycles: readonly number[][]): readonly number[][] {
  let lots = 0;
  const tooMany = cycles.findIndex((cycle, at) => {
    lots += cycle.length;
    return at > 0 && lots > MAX_LOTS_ON_CYCLES;
  });
  return tooMany === -1 ? cycles : cycles.slice(0, tooMany);
}

async function readLinks(sql: Snapshot["sql"], count: number) {
  const [parents, children] = [new Int32Array(count), new Int32Array(count)];
  const [size] = await sql<{ pages: number }[]>`
    select (pg_relation_size('pg_temp.audit_links') / current_setting('block_size')::int)::int as pages`;
  let read = 0;
  for (let page = 0; page < (size?.pages ?? 0); page += PAGES_AT_ONCE) {
    const [chunk] = await sql<{ links: Uint8Array | null }[]>`
      select string_agg(int4send(parent) || int4send(child), '') as links
      from pg_temp.audit_links
      where ctid >= ${`(${page},0)`}::tid and ctid < ${`(${page + PAGES_AT_ONCE},0)`}::tid`;
    const bytes = chunk?.links ?? new Uint8Array();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; at += 8, read++) {
      parents[read] = view.getInt32(at);
      children[read] = view.getInt32(at + 4);
    }
  }
  if (read !== count) throw new Error(`${read} of ${count} links were read`);
  return { parents, children };
}

/** The subject is a digest of the cycle's lots, independent of where it begins. */
function foundCycles(sql: Snapshot["sql"], cycles: readonly (readonly number[])[]): Statement {
  const nodes = cycles.flat();
  const numbers = cycles.flatMap((cycle, number) => cycle.map(() => number));
  const positions = cycles.flatMap((cycle) => [...cycle.keys()]);
  return sql`
    select md5(string_agg(id::text, ' ' order by id))::uuid as subject,
      (array_agg(id order by position))[:${MAX_LOTS_NAMED}::int] as lot_ids,
      jsonb_build_object('length', count(*)) as numbers
    from unnest(
      ${`{${numbers}}`}::text::int[], ${`{${positions}}`}::text::int[], ${`{${nodes}}`}::text::int[]
    ) listed (cycle, position, node) join pg_temp.audit_nodes using (node)
    group by cycle`;
}
