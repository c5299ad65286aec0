import type { Sql, Statement } from "../../db/sql.ts";

/** A comparison that was begun has an outcome by then, unless its process is gone. */
const SETTLED_AFTER = "3 minutes";

/**
 * Whether a row of `lotline.route_coverage` counts: what became due a moment ago may still be under
 * way, and isn't missing.
 */
export function isSettled(sql: Sql): Statement {
  return sql`(what <> 'due' or minute < now() - ${SETTLED_AFTER}::interval)`;
}
