import type postgres from "postgres";
import type { Sql } from "./connect.ts";

/**
 * The column list and the value list of an insert that names just the columns that `values` has,
 * so that an absent one gets its default and a null stays null. Only columns in `types` are ever
 * named, whatever `values` holds. Each value goes as text and is cast by PostgreSQL: its own rules
 * for scale, time zones and JSON apply, not JavaScript's.
 */
export function insertedColumns<Column extends string>(
  sql: Sql,
  types: Readonly<Record<Column, string>>,
  values: Partial<Readonly<Record<Column, string | null | undefined>>>,
): { columns: postgres.Helper<string[]>; cells: postgres.PendingQuery<postgres.Row[]>[] } {
  const names: string[] = [];
  const cells: postgres.PendingQuery<postgres.Row[]>[] = [];
  for (const name in types) {
    const value = values[name];
    if (value === undefined) continue;
    const type = sql.unsafe(types[name]);
    cells.push(
      names.length === 0 ? sql`${value}::text::${type}` : sql`, ${value}::text::${type}`,
    );
    names.push(name);
  }
  return { columns: sql(names), cells };
}
