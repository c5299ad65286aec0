import { type Lot, LOT_COLUMNS } from "./lots.ts";
import type { Session } from "./session.ts";

/*
 * The one-hop trace of a lot with very many links or very large neighbours, read over a session of its
 * own, slice by slice, at one moment.
 */

/** Called with a trace as it is read; lots have their fields in the order of the response. */
interface TraceReader {
  /** Called first, with the lot itself. */
  central(lot: Lot): void;
  /** Called with lots in the order of the response, parents first. Returns their size in bytes. */
  slice(direction: LinkDirection, lots: readonly Lot[]): number;
}

export type LinkDirection = "parents" | "children";

/** `too_large`: the lot has more links than may be read. */
type LargeTraceOutcome = "read" | "missing" | "too_large";

const MAX_SLICE_LOTS = 1_000;
/** The approximate size of a slice, estimated from those before it. */
const SLICE_BYTES = 250_000;
/** The first slice is small: the size of the lots is unknown. */
const FIRST_SLICE_LOTS = 20;

const COLUMNS = Object.keys(LOT_COLUMNS).map((column) => `lot.${column}`).join();

const ENDS = {
  parents: { here: "child_lot_id", there: "parent_lot_id" },
  children: { here: "parent_lot_id", there: "child_lot_id" },
} as const;

const countOf = (direction: LinkDirection) => `
  (select count(*) from (
    select from lot_genealogy where ${ENDS[direction].here} = $1::text::uuid
      and ${ENDS[direction].there} is not null limit $2::text::int
  ) found)`;
const COUNT_LINKS = `select (${countOf("parents")} + ${countOf("children")})::int as links`;

/**
 * The links are sorted without their lots: sorted together, 200,000 lots would go through PostgreSQL's
 * temporary files.
 */
const declareCursor = (direction: LinkDirection, centralId: string) => `
  declare linked_lots no scroll cursor for
  select ${COLUMNS} from (
    select linked_at, id as link_id, ${ENDS[direction].there} as lot_id from lot_genealogy
    where ${ENDS[direction].here} = '${centralId}' and ${ENDS[direction].there} is not null
    order by linked_at, id
  ) link join lots lot on lot.id = link.lot_id
  order by link.linked_at, link.link_id`;

const BEGIN = `
  begin isolation level repeatable read, read only;
  set local jit = off;
  set local max_parallel_workers_per_gather = 0;
  set local enable_hashjoin = off;
  set local enable_mergejoin = off`;

/**
 * Reads the trace of a lot. After a failure, also of the reader, the session must be closed.
 *
 * @param maxLinks no lot with more links is read
 */
export async function readLargeTrace(
  { sql }: Session,
  lotCode: string,
  maxLinks: number,
  reader: TraceReader,
): Promise<LargeTraceOutcome> {
  await sql.unsafe(BEGIN).simple();
  const outcome = await read();
  await sql.unsafe("commit");
  return outcome;

  async function read(): Promise<LargeTraceOutcome> {
    const [central] = await sql.unsafe<Lot[]>(
      `select ${COLUMNS} from lots lot where lot_code = $1`,
      [lotCode],
    );
    if (central === undefined) return "missing";
    const [counted] = await sql.unsafe<{ links: number }[]>(COUNT_LINKS, [
      central.id,
      String(maxLinks + 1),
    ]);
    if (counted === undefined || counted.links > maxLinks) return "too_large";
    reader.central(central);
    for (const direction of ["parents", "children"] as const) {
      await sql.unsafe(declareCursor(direction, central.id));
      await readDirection(direction);
      await sql.unsafe("close linked_lots");
    }
    return "read";
  }

  async function readDirection(direction: LinkDirection): Promise<void> {
    let max = FIRST_SLICE_LOTS;
    for (;;) {
      // No read-ahead: PostgreSQL and this thread take turns, so that they use one core instead of two.
      const rows = await sql.unsafe<Lot[]>(`fetch ${max} from linked_lots`);
      if (rows.length === 0) return;
      const bytes = reader.slice(direction, rows);
      // Slices grow slowly: the next lots may be larger than the last ones.
      const perLot = Math.max(1, bytes / rows.length);
      max = Math.max(1, Math.min(max * 4, Math.floor(SLICE_BYTES / perLot), MAX_SLICE_LOTS));
    }
  }
}
