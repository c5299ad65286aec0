import type { Sql } from "./sql.ts";

// The advisory lock of the one relay that works, until its connection ends. Any number that nothing
// else in the database locks.
const LOCK = 5_684_632;

/** Takes the lock if it is free; returns whether this connection has it now. */
export async function tryRelayLock(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ mine: boolean }[]>`select pg_try_advisory_lock(${LOCK}) as mine`;
  return row?.mine ?? false;
}

/**
 * `relays`: 1 when a connection to this database has the lock; `silent`: for how long (s) that one has
 * sent nothing, null when there is none or this user may not see it.
 */
export const RELAY_STATE = `
  select count(*)::int as relays,
    max(extract(epoch from clock_timestamp() - activity.state_change))::float8 as silent
  from pg_locks left join pg_stat_activity activity using (pid)
  where locktype = 'advisory' and classid = 0 and objid = ${LOCK} and objsubid = 1 and granted
    and database = (select oid from pg_database where datname = current_database())`;
