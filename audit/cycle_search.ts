import type { Statement } from "../db/sql.ts";
import { findCycles, type Links, type OnSteps } from "../lineage/cycles.ts";
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
const LINKS_AT_ONCE = 56_000;

/** Lots with both parents and children, numbered from 0 in the order of their ids. */
const NODES = `
  select id, (row_number() over (order by id) - 1)::int as node
  from (
    select parent_lot_id as id from lot_genealogy where parent_lot_id <> child_lot_id
    intersect
    select child_lot_id from lot_genealogy where parent_lot_id <> child_lot_id
  ) inner_lots`;

/** The links between `nodes`. */
const linksOf = (nodes: string) => `
  select parent.node as parent, child.node as child
  from lot_genealogy
  join ${nodes} parent on parent.id = parent_lot_id
  join ${nodes} child on child.id = child_lot_id
  where parent_lot_id <> child_lot_id`;

/**
 * Finds lots that are their own ancestors. PostgreSQL reduces and numbers the graph; it is searched
 * here, since a search in SQL would visit each line of descent again.
 *
 * @throws {RangeError} when there are more than `max` lots or links to search
 */
export async function searchCycles(
  { sql }: Snapshot,
  { max = MAX, onSteps, isReadOnly = false }: {
    max?: number;
    onSteps?: OnSteps | undefined;
    /** Whether no temporary tables can be made, as on a replica. */
    isReadOnly?: boolean;
  } = {},
): Promise<KindFindings> {
  const graph = isReadOnly ? await readByCursor(sql, max) : await readByTables(sql, max);
  const { cycles, truncated } = findCycles({ ...graph, maxCycles: MAX_CYCLES, onSteps });
  const reported = firstOf(cycles);
  const complete = !truncated && reported.length === cycles.length;
  const found = foundCycles(sql, reported, isReadOnly ? numberedAgain(sql) : named(sql));
  return { kind: "cycle", found, complete };
}

function refuseMoreThan(max: number, lots: number, links: number): void {
  if (Math.max(lots, links) <= max) return;
  throw new RangeError(
    `${lots} lots and ${links} links are too many to search for cycles, ${max} of each the most`,
  );
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

async function readByTables(sql: Snapshot["sql"], max: number): Promise<Links> {
  const { count: lots } = await sql.unsafe(
    `create temporary table audit_nodes on commit drop as ${NODES}`,
  );
  const { count } = await sql.unsafe(
    `create temporary table audit_links on commit drop as ${linksOf("audit_nodes")}`,
  );
  refuseMoreThan(max, lots, count);
  const links = new LinkReader(count);
  const [size] = await sql<{ pages: number }[]>`
    select (pg_relation_size('pg_temp.audit_links') / current_setting('block_size')::int)::int as pages`;
  for (let page = 0; page < (size?.pages ?? 0); page += PAGES_AT_ONCE) {
    const [chunk] = await sql<{ links: Uint8Array | null }[]>`
      select string_agg(int4send(parent) || int4send(child), '') as links
      from pg_temp.audit_links
      where ctid >= ${`(${page},0)`}::tid and ctid < ${`(${page + PAGES_AT_ONCE},0)`}::tid`;
    links.add(chunk?.links);
  }
  return { ...links.all(), lots };
}

/** The same in one statement, which keeps both on the disk of the replica. Its first row has the counts. */
const READ_LINKS = `
  declare audit_links no scroll cursor for
  with nodes as materialized (${NODES}), links as materialized (${linksOf("nodes")})
  select (select count(*) from nodes)::int as lots, (select count(*) from links)::int as count,
    null::bytea as links
  union all
  select null, null, string_agg(int4send(parent) || int4send(child), '')
  from (select *, (row_number() over () - 1) / ${LINKS_AT_ONCE} as part from links) numbered
  group by part`;

async function readByCursor(sql: Snapshot["sql"], max: number): Promise<Links> {
  await sql.unsafe(READ_LINKS);
  const next = async () => {
    const [row] = await sql.unsafe<{ lots: number; count: number; links: Uint8Array | null }[]>(
      "fetch 1 from audit_links",
    );
    return row;
  };
  const { lots = 0, count = 0 } = await next() ?? {};
  refuseMoreThan(max, lots, count);
  const links = new LinkReader(count);
  for (let chunk = await next(); chunk !== undefined; chunk = await next()) links.add(chunk.links);
  await sql`close audit_links`;
  return { ...links.all(), lots };
}

/** Collects links that come as pairs of big-endian numbers. */
class LinkReader {
  readonly #parents: Int32Array;
  readonly #children: Int32Array;
  #read = 0;

  constructor(count: number) {
    this.#parents = new Int32Array(count);
    this.#children = new Int32Array(count);
  }

  add(pairs: Uint8Array | null | undefined): void {
    const bytes = pairs ?? new Uint8Array();
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; at += 8, this.#read++) {
      this.#parents[this.#read] = view.getInt32(at);
      this.#children[this.#read] = view.getInt32(at + 4);
    }
  }

  all(): Pick<Links, "parents" | "children"> {
    const count = this.#parents.length;
    if (this.#read !== count) throw new Error(`${this.#read} of ${count} links were read`);
    return { parents: this.#parents, children: this.#children };
  }
}

const named = (sql: Snapshot["sql"]) => sql`pg_temp.audit_nodes`;

/** The same numbers once more, without a table. */
const numberedAgain = (sql: Snapshot["sql"]) => sql`(${sql.unsafe(NODES)}) audit_nodes`;

/** The subject is a digest of the cycle's lots, independent of where it begins. */
function foundCycles(
  sql: Snapshot["sql"],
  cycles: readonly (readonly number[])[],
  nodesTable: Statement,
): Statement {
  const nodes = cycles.flat();
  const numbers = cycles.flatMap((cycle, number) => cycle.map(() => number));
  const positions = cycles.flatMap((cycle) => [...cycle.keys()]);
  return sql`
    select md5(string_agg(id::text, ' ' order by id))::uuid as subject,
      (array_agg(id order by position))[:${MAX_LOTS_NAMED}::int] as lot_ids,
      jsonb_build_object('length', count(*)) as numbers
    from unnest(
      ${`{${numbers}}`}::text::int[], ${`{${positions}}`}::text::int[], ${`{${nodes}}`}::text::int[]
    ) listed (cycle, position, node) join ${nodesTable} using (node)
    group by cycle`;
}
