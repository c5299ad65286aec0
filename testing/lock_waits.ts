import type { Sql } from "../db/sql.ts";

/** How many statements of this database wait for a lock. */
export async function lockWaits(sql: Sql): Promise<number> {
  const waiting = await sql`
    select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
  return waiting.length;
}
