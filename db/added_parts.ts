import type { AppliedStep } from "./journal.ts";
import { SERVICE_SERIES } from "./migrations.ts";
import type { Sql } from "./sql.ts";

/*
 * What migrations have added to the old tables. A backup of the old tables alone, such as one from the
 * time before Lotline, restores them without it, while `lotline.migrations` still has the steps.
 */

/** A step that adds something to an old table. */
interface AddedPart {
  readonly step: string;
  readonly table: string;
  readonly isTrigger: boolean;
  /** Of the triggers on the table, or of the index. */
  readonly names: readonly string[];
}

const NOTES = ["insert", "update", "delete", "truncate"].map((on) => `lotline_note_${on}`);

const PARTS: readonly AddedPart[] = [
  ...([
    ["0002_index_link_parents", "lotline_lot_genealogy_parent"],
    ["0003_index_link_children", "lotline_lot_genealogy_child"],
  ] as const).map(([step, name]) => ({
    step,
    table: "lot_genealogy",
    isTrigger: false,
    names: [name],
  })),
  ...([
    ["0006_note_changes_of_lots", "lots"],
    ["0007_note_changes_of_lot_genealogy", "lot_genealogy"],
    ["0008_note_changes_of_qc_decisions", "qc_decisions"],
  ] as const).map(([step, table]) => ({ step, table, isTrigger: true, names: NOTES })),
];

/** A step whose trigger or index is gone, or disabled. */
export interface LostPart {
  /** The step's name. */
  readonly name: string;
  readonly isTrigger: boolean;
  /** Removes what is left of the step, so that it can be applied again. */
  readonly undo: string;
}

/** The steps of the service of which an old table has lost something. It costs one statement. */
export async function findLostParts(sql: Sql): Promise<readonly LostPart[]> {
  const wanted = PARTS.flatMap(({ table, isTrigger, names }) =>
    names.map((name) => ({ table, isTrigger, name }))
  );
  // As `replica` a trigger doesn't run for a writer, either. A table that isn't there has lost nothing.
  const lost = await sql<{ table: string; name: string }[]>`
    select "table", name
    from jsonb_to_recordset(${
    sql.json(wanted)
  }) as wanted("table" text, "isTrigger" bool, name text)
    where to_regclass("table") is not null
      and case when "isTrigger" then not exists (
        select from pg_trigger
        where tgrelid = to_regclass("table") and tgname = name and tgenabled in ('O', 'A')
      ) else not exists (
        select from pg_index join pg_class on pg_class.oid = indexrelid
        where indrelid = to_regclass("table") and relname = name and indisvalid
      ) end`;
  return PARTS
    .filter(({ table, names }) =>
      lost.some((one) => one.table === table && names.includes(one.name))
    )
    .map(({ step, table, isTrigger, names }) => ({
      name: step,
      isTrigger,
      undo: isTrigger
        ? names.map((name) => `drop trigger if exists ${name} on ${table}`).join("; ")
        : names.map((name) => `drop index concurrently if exists ${name}`).join("; "),
    }));
}

/** Of these steps those that the database has had. */
export function withoutLost<S extends Pick<AppliedStep, "series" | "name">>(
  applied: readonly S[],
  lost: readonly Pick<LostPart, "name">[],
): readonly S[] {
  return applied.filter(({ series, name }) =>
    series !== SERVICE_SERIES.name || !lost.some((part) => part.name === name)
  );
}
