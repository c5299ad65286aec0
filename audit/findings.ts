import type { Snapshot } from "../lineage/snapshot.ts";
import type { AuditSql, Found } from "./check.ts";
import { type Kind, KINDS, type Severity } from "./kinds.ts";

/** The most findings of one kind that are stored, besides those that are gone. */
const MAX_STORED = 10_000;

export interface KindCount {
  readonly kind: Kind;
  readonly severity: Severity;
  /** New, still there and unknown. */
  readonly found: number;
  readonly new: number;
  readonly still_there: number;
  /** The audit before can't say whether they were there. */
  readonly unknown: number;
  /** Of those that the audit before had stored. */
  readonly gone: number;
  /** How many of the found ones were stored, those with the smallest subjects. */
  readonly kept: number;
  /** Whether all that exist were found. */
  readonly complete: boolean;
}

export interface KindFindings {
  readonly kind: Kind;
  readonly found: Found;
  /** Whether these are all that exist. */
  readonly complete: boolean;
}

/** The audit to compare with. */
export interface Before {
  readonly run: string;
  readonly counts: readonly KindCount[];
}

type Counts = Omit<KindCount, "kind" | "severity" | "complete">;

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
  const [counts] = await sql<Counts[]>`
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
    select ${countsOf(sql)} from judged`;
  if (counts === undefined) throw new Error("a count gave no row");
  return { kind, severity, ...counts, complete };
}

function countsOf(sql: AuditSql) {
  const ofStanding = (standing: string) => sql`count(*) filter (where standing = ${standing})::int`;
  return sql`count(*)::int as found,
    ${ofStanding("new")} as new,
    ${ofStanding("still_there")} as still_there,
    ${ofStanding("unknown")} as unknown,
    (select count(*) from written where standing = 'gone')::int as gone,
    (select count(*) from written where standing <> 'gone')::int as kept`;
}
