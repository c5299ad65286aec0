import type { Sql } from "./sql.ts";

/*
 * Something that the primary has committed, by which a replica shows how far it is. A transaction sees
 * only what was committed before it writes its own commit, and a replica applies commits in that order.
 * So a replica that shows a mark shows all that the mark's own transaction saw. Unlike a position in the
 * WAL, it can't be mistaken for one of another history, after a failover.
 */

export type ReplicaMark =
  /** A trace, as it was when it or its attempt began. */
  | {
    readonly trace: string;
    /** The transactions that it will show at least, as a `pg_snapshot`. */
    readonly id: string;
    /** When that was, as ISO text by the primary's clock. */
    readonly asOf: string;
  }
  /** A job that was claimed with a token. */
  | { readonly job: string; readonly token: string };

/** What a replica shows at least. */
export interface MarkedMoment {
  /** As ISO text, by the primary's clock. */
  readonly asOf: string;
  /** The transactions, as a `pg_snapshot`; empty for a job, whose result has none. */
  readonly id: string;
}

/** The moment of a mark; undefined when the transaction doesn't show it. */
export async function findMark(sql: Sql, mark: ReplicaMark): Promise<MarkedMoment | undefined> {
  if ("trace" in mark) {
    const { trace, id, asOf } = mark;
    const [row] = await sql`
      select from lotline.traces where id = ${trace} and snapshot::text = ${id}::text`;
    return row && { id, asOf };
  }
  const [row] = await sql<MarkedMoment[]>`
    select lotline.iso_moment(started_at) as "asOf", '' as id
    from lotline.jobs where id = ${mark.job} and token = ${mark.token}`;
  return row;
}
