import type { components } from "../contract/types.gen.ts";
import type { Sql } from "./sql.ts";
import { timed } from "./query_deadline.ts";
import { LOT_COLUMNS } from "./lots.ts";
import { oneRow } from "./one_row.ts";

/** The lots of a trace, in lists of the same order. */
export interface TraceLots {
  readonly ids: readonly string[];
  readonly depths: readonly number[];
  /** 1: found upstream; 2: found downstream; 3: both. */
  readonly directions: readonly number[];
}

interface StoredLots {
  readonly lots: number;
  readonly depthReached: number;
  readonly totals: components["schemas"]["DeepTraceTotal"][];
}

/** The most lines and bytes of a chunk; a single line may be larger. */
const CHUNK_LINES = 1_000;
const CHUNK_BYTES = 1_000_000;
/** Chunks of lots have smaller numbers; no trace has so many of them. */
const FIRST_OF_LINKS = 1_000_000_000;

/** A column's value as JSON, as responses show it. */
function jsonOf(column: string, type: string): string {
  const quoted = (text: string) => `coalesce('"' || ${text} || '"', 'null')`;
  switch (type) {
    case "uuid":
    case "numeric":
      return quoted(column);
    case "timestamptz":
      return quoted(`lotline.iso_moment(${column})`);
    case "text":
      return `coalesce(to_json(${column})::text, 'null')`;
    default:
      return `coalesce(${column}::text, 'null')`;
  }
}

const LOT_LINE = Object.entries(LOT_COLUMNS)
  .map(([column, type], i) => `'${i === 0 ? "{" : ","}"${column}":' || ${jsonOf(column, type)}`)
  .join(" || ") + ` || ',"depth":' || depth || '}'`;

const LINK_LINE = `'{"parent_lot_id":"' || parent_lot_id || '","child_lot_id":"' || child_lot_id ||
  '","quantity_used_kg":' || ${jsonOf("quantity_used_kg", "numeric")} || '}'`;

/** Chunks of `lines (place, line, …)`. */
const chunksOf = (lines: string, more: string) => `
  select row_number() over (order by min(place)) - 1 as number, min(place) as first_line,
    count(*) as lines, string_agg(line, E'\\n' order by place) as body, ${more}
  from (
    select *, sum(octet_length(line)) over (order by place rows unbounded preceding) / ${CHUNK_BYTES} as full_before
    from ${lines}
  ) sized group by place / ${CHUNK_LINES}, full_before`;

// Codes are sorted by their bytes: the same in every database, whatever its collation.
const FIND_LOTS = `
  found as materialized (
    select lots.*, depth
    from unnest($1::uuid[], $2::int[]) member (id, depth) join lots using (id)
  ), lines as (
    select id, ${LOT_LINE} as line,
      row_number() over (order by depth, lot_code collate "C", id) - 1 as place
    from found
  ), totals as (
    select lot_type, count(*) as lots, sum(weight_kg)::text as weight_kg from found group by 1
  )`;
const LOT_CHUNKS = chunksOf("lines", "array_agg(id) as lot_ids");
const SUM_UP_LOTS = `
  select count(*)::int as lots, coalesce(max(depth), 0) as "depthReached",
    (select coalesce(jsonb_agg(totals order by
      array_position(array['RAW', 'DEB', 'BULK', 'MIX', 'SKW', 'FRZ', 'FG'], lot_type), lot_type
    ), '[]') from totals) as totals
  from found`;

const INSERT_LOTS = `
  with ${FIND_LOTS}, kept as (
    insert into lotline.trace_chunks (run, kind, number, first_line, lines, body, lot_ids)
    select $3::uuid, 'lots', chunk.* from (${LOT_CHUNKS}) chunk
  ) ${SUM_UP_LOTS}`;

/** Stores the lots of a trace under an attempt's id, by depth, code and id. */
export async function insertLotChunks(
  sql: Sql,
  attemptId: string,
  { ids, depths }: TraceLots,
): Promise<StoredLots> {
  const parameters = [`{${ids.join()}}`, `{${depths.join()}}`, attemptId];
  return oneRow(await sql.unsafe<StoredLots[]>(INSERT_LOTS, parameters, { prepare: true }));
}

const FIND_LINKS = `
  member as (
    select * from unnest($1::uuid[], $2::int[]) with ordinality member (id, side, place)
  ), found as (
    select link.*, parent.place as parent_place, child.place as child_place
    from member parent
    join lot_genealogy link on link.parent_lot_id = parent.id
    join member child on child.id = link.child_lot_id
    where parent.side & child.side <> 0
  ), lines as (
    select ${LINK_LINE} as line, int4send(parent_place::int) || int4send(child_place::int) as ends,
      row_number() over (order by parent_place, child_place, id) - 1 as place
    from found
  ), chunks as materialized (${chunksOf("lines", "string_agg(ends, '') as ends")})`;
const SUM_UP_LINKS = `
  select coalesce(sum(lines), 0)::int as links, (
    (select count(*) from member join lot_genealogy link on link.parent_lot_id = member.id
      where side & 2 <> 0 and link.child_lot_id is null) +
    (select count(*) from member join lot_genealogy link on link.child_lot_id = member.id
      where side & 1 <> 0 and link.parent_lot_id is null)
  )::int as "halfLinks", string_agg(ends, '') as ends from chunks`;

const INSERT_LINKS = `
  with ${FIND_LINKS}, kept as (
    insert into lotline.trace_chunks (run, kind, number, first_line, lines, body)
    select $3::uuid, 'links', ${FIRST_OF_LINKS} + number, first_line, lines, body from chunks
  ) ${SUM_UP_LINKS}`;

interface StoredLinks {
  readonly links: number;
  /** Links of the lots in the direction of the trace whose other side is missing. */
  readonly halfLinks: number;
  /** For each link the places of its ends among the lots. */
  readonly parents: Int32Array;
  readonly children: Int32Array;
}

/** Stores the links whose ends were both found on one side, in the order of their ends. */
export async function insertLinkChunks(
  sql: Sql,
  attemptId: string,
  { ids, directions }: TraceLots,
): Promise<StoredLinks> {
  const parameters = [`{${ids.join()}}`, `{${directions.join()}}`, attemptId];
  const rows = await sql.unsafe<{ links: number; ends: Uint8Array | null; halfLinks: number }[]>(
    INSERT_LINKS,
    parameters,
    { prepare: true },
  );
  return withEnds(oneRow(rows));
}

interface SummedLinks extends Pick<StoredLinks, "links" | "halfLinks"> {
  /** Of all links, 8 bytes each. */
  readonly ends: Uint8Array | null;
}

function withEnds({ links, ends, halfLinks }: SummedLinks): StoredLinks {
  const parents = new Int32Array(links);
  const children = new Int32Array(links);
  if (ends !== null) {
    const view = new DataView(ends.buffer, ends.byteOffset, ends.byteLength);
    // Big-endian, and PostgreSQL counts places from 1.
    for (let link = 0; link < links; link++) {
      parents[link] = view.getInt32(8 * link) - 1;
      children[link] = view.getInt32(8 * link + 4) - 1;
    }
  }
  return { links, halfLinks, parents, children };
}

/** A chunk on its way from a replica to the primary. */
export interface TraceChunk extends Chunk {
  readonly number: number;
  readonly lines: number;
  /** Null for links. */
  readonly lot_ids: string | null;
}

/** Receives chunks one by one. */
export type ChunkSink = (chunk: TraceChunk) => Promise<unknown>;

const READ_LOTS = `
  with ${FIND_LOTS}, summary as (${SUM_UP_LOTS})
  select 'lots' as kind, number::int, first_line::int, lines::int, body, lot_ids::text,
    null::jsonb as summary
  from (${LOT_CHUNKS}) chunk
  union all
  select null, null, null, null, null, null, to_jsonb(summary) from summary`;

/** {@link insertLotChunks} for a server that can't be written: in a transaction, to a sink. */
export async function readLotChunks(
  sql: Sql,
  { ids, depths }: TraceLots,
  sink: ChunkSink,
): Promise<StoredLots> {
  const parameters = [`{${ids.join()}}`, `{${depths.join()}}`];
  let summary: StoredLots | undefined;
  await eachRow<ReadRow<StoredLots>>(sql, "trace_lots", READ_LOTS, parameters, async (row) => {
    if (row.summary === null) await sink(row);
    else summary = row.summary;
  });
  if (summary === undefined) throw new Error("the lots of a trace have no summary");
  return summary;
}

const READ_LINKS = `
  with ${FIND_LINKS}, summary as (${SUM_UP_LINKS})
  select 'links' as kind, (${FIRST_OF_LINKS} + number)::int as number, first_line::int, lines::int,
    body, null::text as lot_ids, null::jsonb as summary, null::bytea as ends
  from chunks
  union all
  select null, null, null, null, null, null,
    jsonb_build_object('links', links, 'halfLinks', "halfLinks"), ends
  from summary`;

/** {@link insertLinkChunks} for a server that can't be written: in a transaction, to a sink. */
export async function readLinkChunks(
  sql: Sql,
  { ids, directions }: TraceLots,
  sink: ChunkSink,
): Promise<StoredLinks> {
  const parameters = [`{${ids.join()}}`, `{${directions.join()}}`];
  let summed: SummedLinks | undefined;
  await eachRow<ReadRow<Omit<SummedLinks, "ends">> & Pick<SummedLinks, "ends">>(
    sql,
    "trace_links",
    READ_LINKS,
    parameters,
    async (row) => {
      if (row.summary === null) await sink(row);
      else summed = { ...row.summary, ends: row.ends };
    },
  );
  if (summed === undefined) throw new Error("the links of a trace have no summary");
  return withEnds(summed);
}

/** A chunk, or the summary of all. */
type ReadRow<Summary> = TraceChunk & { readonly summary: Summary | null };

/** Rows that are read at once: a row has up to a MB. */
const ROWS_AT_ONCE = 4;

async function eachRow<Row>(
  sql: Sql,
  name: string,
  query: string,
  parameters: string[],
  work: (row: Row) => Promise<void>,
): Promise<void> {
  await sql.unsafe(`declare ${name} no scroll cursor for ${query}`, parameters);
  for (;;) {
    const rows = await sql.unsafe<Row[]>(`fetch ${ROWS_AT_ONCE} from ${name}`);
    for (const row of rows) await work(row);
    if (rows.length < ROWS_AT_ONCE) break;
  }
  await sql.unsafe(`close ${name}`);
}

/**
 * Stores a chunk that a replica's snapshot has given.
 *
 * @param isAlone whether it is its own transaction, which doesn't wait for the disk: what makes the
 * chunk count does
 */
export async function insertChunk(
  sql: Sql,
  attemptId: string,
  { kind, number, first_line, lines, body, lot_ids }: TraceChunk,
  isAlone: boolean,
): Promise<void> {
  await sql`
    insert into lotline.trace_chunks (run, kind, number, first_line, lines, body, lot_ids)
    select ${attemptId}::uuid, ${kind}, ${number}::int, ${first_line}::int, ${lines}::int, ${body},
      ${lot_ids}::text::uuid[]
    where not ${isAlone} or set_config('synchronous_commit', 'off', true) = 'off'`;
}

interface Chunk {
  readonly kind: "lots" | "links";
  /** The place of its first line among those of its kind. */
  readonly first_line: number;
  readonly body: string;
}

/** A part of a result: from a place (inclusive) to another (exclusive). */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/**
 * The chunks with these lots and links, with the sizes of their bodies; as many as have about
 * `maxBytes` together, one at least.
 */
export async function listChunks(
  sql: Sql,
  attemptId: string,
  { lots, links, maxBytes }: { lots: Stretch; links: Stretch; maxBytes: number },
): Promise<readonly (Chunk & { readonly bytes: number })[]> {
  return await timed(sql)<(Chunk & { readonly bytes: number })[]>`
    select kind, first_line, body, octet_length(body) as bytes from (
      select *, sum(octet_length(body)) over (order by number) - octet_length(body) as bytes_before
      from lotline.trace_chunks
      where run = ${attemptId} and (
        (kind = 'lots' and first_line < ${lots.to} and first_line + lines > ${lots.from})
        or (kind = 'links' and first_line < ${links.to} and first_line + lines > ${links.from})
      )
    ) wanted where bytes_before < ${maxBytes} order by number`;
}

/** The chunk after a given one; the first follows −1. */
export async function findChunkAfter(
  sql: Sql,
  attemptId: string,
  number: number,
): Promise<Chunk & { number: number } | undefined> {
  const [chunk] = await timed(sql)<(Chunk & { number: number })[]>`
    select number, kind, first_line, body from lotline.trace_chunks
    where run = ${attemptId} and number > ${number} order by number limit 1`;
  return chunk;
}
