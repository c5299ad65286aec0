import type postgres from "postgres";
import { LOT_COLUMNS } from "./lots.ts";
import { QC_DECISION_COLUMNS } from "./qc_decisions.ts";
import { USER_COLUMNS } from "./users.ts";

const LINK_COLUMNS = {
  id: "uuid",
  parent_lot_id: "uuid",
  child_lot_id: "uuid",
  quantity_used_kg: "numeric",
  linked_at: "timestamptz",
};

// The old server responds with `select *` on these: an additional column is an additional field in
// its responses, which Lotline would lack.
const SHOWN = { users: USER_COLUMNS, lots: LOT_COLUMNS, qc_decisions: QC_DECISION_COLUMNS };
const READ = { ...SHOWN, lot_genealogy: LINK_COLUMNS };

/**
 * How an existing database differs from the old server's schema, one sentence each. A missing table is
 * no difference.
 */
export async function differencesFromOldSchema(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ table: string; column: string; type: string }[]>`
    select relation.relname as table, attribute.attname as column,
      format_type(attribute.atttypid, attribute.atttypmod) as type
    from pg_attribute attribute join pg_class relation on relation.oid = attribute.attrelid
    where relation.oid in (select to_regclass(name) from unnest(string_to_array(
        ${Object.keys(READ).join(" ")}, ' ')) as name)
      and attribute.attnum > 0 and not attribute.attisdropped
    order by relation.relname, attribute.attnum`;
  const differences: string[] = [];
  for (const [table, columns] of Object.entries(READ)) {
    const found = new Map(rows.filter((row) => row.table === table).map((r) => [r.column, r.type]));
    if (found.size === 0) continue;
    for (const [column, type] of Object.entries(columns)) {
      const foundType = found.get(column)?.replace("timestamp with time zone", "timestamptz");
      if (foundType === undefined) differences.push(`${table} has no column ${column}`);
      else if (foundType !== type) {
        differences.push(`${table}.${column} is ${foundType} and not ${type}`);
      }
    }
    if (table in SHOWN) {
      for (const column of found.keys()) {
        if (!(column in columns)) differences.push(`${table} has an unknown column ${column}`);
      }
    }
  }
  return differences;
}
