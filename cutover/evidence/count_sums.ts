import type { Sql, Statement } from "../../db/sql.ts";

/* Parts of statements that read the counts of comparisons. */

/** A comparison that was begun has an outcome by then, unless its process is gone. */
const SETTLED_AFTER = "3 minutes";

/**
 * Whether a row of `lotline.route_coverage` counts: what became due a moment ago may still be in
 * flight, and isn't missing.
 */
export function isSettled(sql: Sql): Statement {
  return sql`(what <> 'due' or minute < now() - ${SETTLED_AFTER}::interval)`;
}

/** The sums of `count` in these rows by one of their columns, as a jsonb object. */
export function sumsBy(sql: Sql, column: string, rows: Statement): Statement {
  return sql`(
    select coalesce(jsonb_object_agg(name, count), '{}') from (
      select ${sql(column)} as name, sum(count) as count from (${rows}) counted group by 1
    ) summed
  )`;
}
