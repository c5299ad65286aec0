import type postgres from "postgres";
import type { Write } from "./write.ts";

/**
 * Inserts a row, naming just the columns that `values` has, so that an absent one gets its default
 * and a null stays null; it gives back the whole row. Only columns in `types` are ever named,
 * whatever `values` holds. Each value goes as text and is cast by PostgreSQL: its own rules for
 * scale, time zones and JSON apply, not JavaScript's.
 *
 * @param types the table's columns in their order, with their types
 */
export function insertRow<Row extends postgres.MaybeRow, Column extends string>(
  write: Write,
  table: string,
  types: Readonly<Record<Column, string>>,
  values: Partial<Readonly<Record<Column, string | null | undefined>>>,
): Promise<Row[]> {
  const names: string[] = [];
  const cells: string[] = [];
  const parameters: (string | null)[] = [];
  for (const name in types) {
    const value = values[name];
    if (value === undefined) continue;
    names.push(name);
    cells.push(`$${parameters.push(value)}::text::${types[name]}`);
  }
  // Nothing but our own names in the text. Built by hand, because a fragment for each cell made
  // an insert cost the process twice as much.
  const text = `insert into ${table} (${names}) values (${cells}) returning ${Object.keys(types)}`;
  return write<Row>({ text, parameters });
}
