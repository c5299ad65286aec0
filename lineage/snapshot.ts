import { addAbortListener } from "node:events";
import type { Sql } from "../db/sql.ts";
import type { Session } from "../db/session.ts";

/** Statements that all see the same moment. */
export interface Snapshot {
  readonly sql: Sql;
  /** The snapshot's moment as ISO text. */
  readonly asOf: string;
  /** The visible transactions, as a `pg_snapshot`. */
  readonly id: string;
}

export interface SnapshotOptions {
  readonly signal: AbortSignal;
  /** PostgreSQL's settings for the transaction. */
  readonly settings: Readonly<Record<string, string>>;
}

type Work<T> = (snapshot: Snapshot) => Promise<T>;

/**
 * Does some work in one transaction on a session that does nothing else. The transaction has ended when
 * this returns or throws.
 *
 * @param first a statement at its beginning
 * @throws the signal's reason as soon as it is aborted, which closes the session
 */
export async function inSnapshot<T>(
  { sql }: Session,
  { signal, settings }: SnapshotOptions,
  work: Work<T>,
  first = "",
): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  // Closing the connection ends its statement, also when PostgreSQL doesn't respond.
  using _listener = addAbortListener(signal, () => {
    aborted.reject(signal.reason);
    sql.end({ timeout: 0 }).catch(() => {});
  });
  return await Promise.race([transaction(sql, begin(first, settings), work), aborted.promise]);
}

/** The same at a snapshot's moment on a second session: both may work concurrently. */
export async function inSameSnapshot<T>(
  { sql, asOf }: Snapshot,
  session: Session,
  options: SnapshotOptions,
  work: Work<T>,
): Promise<T> {
  const [exported] = await sql<{ name: string }[]>`select pg_export_snapshot() as name`;
  const adopt = `set transaction snapshot '${exported?.name}'`;
  return await inSnapshot(session, options, (same) => work({ ...same, asOf }), adopt);
}

/*
 * Without JIT: the statements are small or wait for the disk. The backend of a lost client stops within
 * a second where PostgreSQL supports that, else after its statement.
 */
const begin = (first: string, settings: SnapshotOptions["settings"]) => `
  begin isolation level repeatable read;
  ${first};
  set local jit = off;
  ${Object.entries(settings).map(([name, value]) => `set local ${name} = '${value}';`).join(" ")}
  do $$ begin
    set local client_connection_check_interval = '1s';
  exception when others then
    null;
  end $$;
  select pg_current_snapshot()::text as id, lotline.iso_moment(now()) as "asOf"`;

async function transaction<T>(sql: Sql, begin: string, work: Work<T>): Promise<T> {
  const results = await sql.unsafe<Pick<Snapshot, "id" | "asOf">[][]>(begin).simple();
  const [moment] = results.at(-1) ?? [];
  try {
    if (moment === undefined) throw new Error("a transaction began without a snapshot");
    const result = await work({ sql, ...moment });
    await sql`commit`;
    return result;
  } catch (error) {
    // A lost connection has rolled back already.
    await sql`rollback`.catch(() => {});
    throw error;
  }
}
