import type { components } from "../contract/types.gen.ts";
import { oneRow } from "../db/one_row.ts";
import type { Statement } from "../db/sql.ts";
import type { Snapshot } from "../lineage/snapshot.ts";
import { type Kind, KINDS } from "./kinds.ts";

/** The most findings of one kind that are stored, besides those that are gone. */
const MAX_STORED = 10_000;

export type KindCount = components["schemas"]["AuditFindingCount"];

export interface KindFindings {
  readonly kind: Kind;
  readonly found: Statement;
  /** Whether these are all that exist. */
  readonly complete: boolean;
}

/** The audit to compare with. */
export interface Before {
  readonly run: string;
  readonly counts: readonly KindCount[];
}

/**
 * Stores the findings of a kind under `attemptId`, compared with those of the audit before, and counts
 * them. Both audits store the smallest subjects, so only findings after the last one that a truncated
 * audit stored may have been there without being stored.
 */
export async function saveFindings(
  { sql }: Snapshot,
  attemptId: string,
  { kind, found, complete }: KindFindings,
  before: Before | undefined,
): Promise<KindCount> {
  const { severity } = KINDS[kind];
  const earlier = before?.counts.find((count) => count.kind === kind);
  const wasCut = earlier !== undefined && earlier.found > earlier.kept;
  const wasComplete = earlier?.complete ?? true;
  const counts = await sql<Omit<KindCount, "kind" | "severity" | "complete">[]>`
    with found as materialized (${found}),
    before as materialized (
      select subject, severity, lot_ids, lot_codes, numbers
      from lotline.audit_findings
      where run = ${before?.run ?? null} and kind = ${kind} and standing <> 'gone'
    ),
    edge as (
      select subject from before where ${wasCut} order by subject desc limit 1
    ),
    judged as materialized (
      select found.*, case
        when before.subject is not null then 'still_there'
        when not ${wasComplete} or found.subject > (select subject from edge) then 'unknown'
        else 'new'
      end as standing
      from found left join before using (subject)
    ),
    kept as (select * from judged order by subject limit ${MAX_STORED}),
    gone as (
      select * from before
      where ${complete} and not exists (select from found where found.subject = before.subject)
    ),
    written as (
      insert into lotline.audit_findings
        (run, kind, subject, severity, standing, lot_ids, lot_codes, numbers)
      select ${attemptId}::uuid, ${kind}, subject, ${severity}, standing, lot_ids, array(
        select coalesce(lot_code, '')
        from unnest(lot_ids) with ordinality as named (id, position) left join lots using (id)
        order by position
      ), numbers from kept
      union all
      select ${attemptId}::uuid, ${kind}, subject, severity, 'gone', lot_ids, lot_codes, numbers from gone
      returning standing
    )
    select count(*)::int as found,
      count(*) filter (where standing = 'new')::int as new,
      count(*) filter (where standing = 'still_there')::int as still_there,
      count(*) filter (where standing = 'unknown')::int as unknown,
      (select count(*) from written where standing = 'gone')::int as gone,
      (select count(*) from written where standing <> 'gone')::int as kept
    from judged`;
  return { kind, severity, ...oneRow(counts), complete };
}
