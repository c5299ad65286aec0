import type { components } from "../contract/types.gen.ts";
import { ApiError } from "../errors.ts";
import type { Sql } from "./sql.ts";
import { runPrepared } from "./query_deadline.ts";
import { findSavedRow, type IdempotencyKey } from "./idempotency_keys.ts";
import { type ColumnValues, conflictsOf, insertRow, unknownReference } from "./insert.ts";
import { textArray } from "./text_array.ts";
import type { Write } from "./write.ts";

/** A row of `lots` as responses show it; see the contract for each field. */
export type Lot = components["schemas"]["Lot"];

/** A lot with the lots one hop away, one entry a link. */
export type Trace = components["schemas"]["Trace"];

/** The columns of `lots` with their types, in the order in which responses show them. */
export const LOT_COLUMNS = {
  id: "uuid",
  lot_code: "text",
  lot_type: "text",
  production_run_id: "uuid",
  phase_id: "uuid",
  operator_id: "uuid",
  weight_kg: "numeric",
  temperature_c: "numeric",
  metadata: "jsonb",
  created_at: "timestamptz",
} as const;

/** A lot to store: text as PostgreSQL reads it; what is absent gets the column's default. */
export type LotValues =
  & { readonly lot_code: string }
  & ColumnValues<keyof typeof LOT_COLUMNS>;

interface TraceRow extends Omit<Lot, "id"> {
  /** Null: the lot is too large for a shared statement. */
  readonly id: string | null;
  /** The requested code. */
  readonly asked: string;
  readonly side: "central" | "parents" | "children";
}

/** A trace that is too large for a shared statement. */
export const LARGE_TRACE = Symbol("a large trace");

/** A lot with more links on a side is read alone: the other requests of the statement would wait. */
const MAX_SHARED_LINKS = 500;
/** So is a trace with a larger lot, in bytes. */
const MAX_SHARED_LOT = 16_384;
/** A row of so few bytes, compressed, is never much larger than a lot may be. */
const SMALL_ROW = 500;

const fits = (lot: string) =>
  `(pg_column_size(${lot}.*) <= ${SMALL_ROW} or octet_length(${lot}::text) <= ${MAX_SHARED_LOT})`;

const COLUMNS = Object.keys(LOT_COLUMNS);

const linkedLots = (direction: "parents" | "children", here: string, there: string) => `
    select central.lot_code, '${direction}', link.linked_at, link.id,
      ${COLUMNS.map((column) => `lot.${column}`)}, ${fits("lot")}
    from central
    cross join lateral (
      select linked_at, id, ${there} as lot_id from lot_genealogy
      where ${here} = central.id and ${there} is not null limit ${MAX_SHARED_LINKS + 1}
    ) link
    join lots lot on lot.id = link.lot_id`;

// Of a lot that doesn't fit no id and nothing long is read. A join that leaves it out would cost a
// fifth more for every trace.
const whereItFits = (column: string) =>
  ["id", "weight_kg", "temperature_c", "metadata"].includes(column)
    ? `case when fits then ${column} end as ${column}`
    : column;

/** The statement of {@link findTraces}; `$1` are the lots' codes. */
// Text, since the fragments of a template would be a fifth of the process's work for a trace. The
// codes are in a subselect so that PostgreSQL plans the statement once a connection: for a visible list
// it would plan each time, which takes half of the time or more.
export const FIND_TRACES = `
  with central as (
    select *, ${fits("lots")} as fits from lots
    where lot_code = any((select $1::text::text[])::text[])
  ),
  found as (
    select lot_code as asked, 'central' as side, null::timestamptz as linked_at,
      null::uuid as link_id, ${COLUMNS}, fits
    from central
    union all ${linkedLots("parents", "child_lot_id", "parent_lot_id")}
    union all ${linkedLots("children", "parent_lot_id", "child_lot_id")}
  )
  select asked, side, ${COLUMNS.map(whereItFits)} from found order by linked_at, link_id`;

/**
 * The traces of existing lots, by code: each lot with its parents and children, all read at one moment.
 * Links come in the order in which they were made, without half links (one side missing). A trace that
 * would delay the others is not read: it is {@link LARGE_TRACE}.
 */
export async function findTraces(
  sql: Sql,
  lotCodes: readonly string[],
  deadlineMs?: number,
): Promise<ReadonlyMap<string, Trace | typeof LARGE_TRACE>> {
  const rows = await runPrepared<TraceRow>(sql, FIND_TRACES, [textArray(lotCodes)], deadlineMs);
  const found = new Map<
    string,
    { central?: Lot; parents: Lot[]; children: Lot[]; isLarge: boolean }
  >();
  for (const row of rows) {
    let trace = found.get(row.asked);
    if (trace === undefined) {
      found.set(row.asked, trace = { parents: [], children: [], isLarge: false });
    }
    const { id } = row;
    if (id === null) trace.isLarge = true;
    else if (row.side === "central") trace.central = lotOf(id, row);
    else trace[row.side].push(lotOf(id, row));
  }
  // Measured: a statement that runs during a minor GC keeps later ones in memory, with their rows,
  // until the next major GC. Without this line that was an eighth of all that is allocated.
  rows.length = 0;
  const traces = new Map<string, Trace | typeof LARGE_TRACE>();
  for (const [requested, { central, parents, children, isLarge }] of found) {
    const isTooLong = parents.length > MAX_SHARED_LINKS || children.length > MAX_SHARED_LINKS;
    if (isLarge || isTooLong) traces.set(requested, LARGE_TRACE);
    else if (central !== undefined) traces.set(requested, { central, parents, children });
  }
  return traces;
}

/** Written out, since rest properties copy a row name by name at run time. */
function lotOf(id: string, row: TraceRow): Lot {
  return {
    id,
    lot_code: row.lot_code,
    lot_type: row.lot_type,
    production_run_id: row.production_run_id,
    phase_id: row.phase_id,
    operator_id: row.operator_id,
    weight_kg: row.weight_kg,
    temperature_c: row.temperature_c,
    metadata: row.metadata,
    created_at: row.created_at,
  };
}

export async function listCodes(
  sql: Sql,
  lotIds: readonly string[],
): Promise<Readonly<Record<string, string>>> {
  const [row] = await sql<{ codes: Record<string, string> }[]>`
    select coalesce(jsonb_object_agg(id, lot_code), '{}') as codes
    from lots where id = any(${`{${lotIds.join()}}`}::text::uuid[])`;
  return row?.codes ?? {};
}

/** Those of the codes that lots have. */
export async function listExistingCodes(sql: Sql, codes: readonly string[]): Promise<string[]> {
  const rows = await sql<{ lot_code: string }[]>`
    select lot_code from lots where lot_code = any(${textArray(codes)}::text::text[])`;
  return rows.map(({ lot_code }) => lot_code);
}

/**
 * Stores a lot and returns its row.
 * @param key is stored with it
 * @throws {ApiError} 409 when its code or id is taken, or when it refers to a row that doesn't exist
 */
export async function insertLot(
  write: Write,
  values: LotValues,
  key?: IdempotencyKey,
): Promise<Lot> {
  return await insertRow<Lot, keyof Lot>(write, "lots", LOT_COLUMNS, values, key)
    .catch(conflictsOf({
      lots_lot_code_key: () => new ApiError("taken", `Lot code ${values.lot_code} is taken`),
      lots_pkey: () => new ApiError("taken", `Lot id ${values.id} is taken`),
      lots_production_run_id_fkey: () => unknownReference("production_run_id", "production run"),
      lots_phase_id_fkey: () => unknownReference("phase_id", "phase"),
      lots_operator_id_fkey: () => unknownReference("operator_id", "user"),
    }));
}

/** The lot as it was stored with this key. */
export function findSavedLot(sql: Sql, key: IdempotencyKey): Promise<Lot> {
  return findSavedRow<Lot>(sql, "lots", Object.keys(LOT_COLUMNS), key);
}
