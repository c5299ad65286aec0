import { findLostParts, withoutLost } from "./added_parts.ts";
import { type AppliedStep, readJournal } from "./journal.ts";
import { isMissingRight } from "./pg_errors.ts";
import { type Step, titleOf } from "./migrations.ts";
import type { Sql } from "./sql.ts";

/** A database's schema beside the one that this code was written for. */
export type SchemaState =
  | { readonly is: "current" }
  /** `deno task migrate` never ran. */
  | { readonly is: "missing" }
  /** The database lacks these steps, or the old tables have lost the triggers of these. */
  | { readonly is: "behind"; readonly steps: readonly string[] }
  /** The database has these steps of a later version, which runs beside this one during an update. */
  | { readonly is: "ahead"; readonly steps: readonly string[] }
  /** This user may not read the journal. */
  | { readonly is: "unreadable" }
  /** This user may not use Lotline's schema at all. */
  | { readonly is: "forbidden" };

/** @param known the steps of the series that the process uses */
export async function readSchemaState(sql: Sql, known: readonly Step[]): Promise<SchemaState> {
  try {
    const { steps } = await readJournal(sql);
    const lost = steps.length === 0 ? [] : await findLostParts(sql);
    return compareSteps(known, withoutLost(steps, lost.filter(({ isTrigger }) => isTrigger)));
  } catch (error) {
    if (!isMissingRight(error)) throw error;
    const [row] = await sql<{ may: boolean }[]>`
      select has_schema_privilege('lotline', 'usage') as may`;
    return { is: row?.may ? "unreadable" : "forbidden" };
  }
}

/** Steps of other series don't count. */
export function compareSteps(
  known: readonly Pick<Step, "series" | "name">[],
  applied: readonly Pick<AppliedStep, "series" | "name">[],
): SchemaState {
  if (applied.length === 0) return { is: "missing" };
  const [ours, theirs] = [new Set(known.map(titleOf)), new Set(applied.map(titleOf))];
  const lacking = ours.difference(theirs);
  if (lacking.size > 0) return { is: "behind", steps: [...lacking] };
  const series = new Set(known.map((step) => step.series));
  const later = applied.filter((step) => series.has(step.series) && !ours.has(titleOf(step)));
  return later.length === 0 ? { is: "current" } : { is: "ahead", steps: later.map(titleOf) };
}
