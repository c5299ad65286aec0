import type { components } from "../contract/types.gen.ts";
import { oneRow } from "../db/one_row.ts";
import type { Sql, Statement } from "../db/sql.ts";
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

type Counts = Omit<KindCount, "kind" | "severity" | "complete">;

/**
 * The findings of a kind, compared with those of the audit before: `judged`, those of them to be `kept`,
 * and those that are `gone`. Both audits store the smallest subjects, so only findings after the last
 * one that a truncated audit stored may have been there without being stored.
 */
function comparison(
  sql: Sql,
  { kind, found, complete }: KindFindings,
  before: Before | undefined,
): Statement {
  const earlier = before?.counts.find((count) => count.kind === kind);
  const wasCut = earlier !== undefined && earlier.found > earlier.kept;
  const wasComplete = earlier?.complete ?? true;
  return sql`
    found as materialized (${found}),
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
    kept as (
      select subject, ${KINDS[kind].severity}::text as severity, standing, lot_ids, array(
        select coalesce(lot_code, '')
        from unnest(lot_ids) with ordinality as named (id, position) left join lots using (id)
        order by position
      ) as lot_codes, numbers
      from (select * from judged order by subject limit ${MAX_STORED}) smallest
    ),
    gone as (
      select subject, severity, 'gone' as standing, lot_ids, lot_codes, numbers from before
      where ${complete} and not exists (select from found where found.subject = before.subject)
    ),
    listed as (select * from kept union all select * from gone)`;
}

/** The counts, of the findings in `judged` and of the rows to be stored in `stored`. */
const countsOf = (sql: Sql, stored: Statement): Statement =>
  sql`
    select count(*)::int as found,
      count(*) filter (where standing = 'new')::int as new,
      count(*) filter (where standing = 'still_there')::int as still_there,
      count(*) filter (where standing = 'unknown')::int as unknown,
      (select count(*) from ${stored} where standing = 'gone')::int as gone,
      (select count(*) from ${stored} where standing <> 'gone')::int as kept
    from judged`;

/** Stores the findings of a kind under `attemptId`, compared with the audit before, and counts them. */
export async function saveFindings(
  { sql }: Snapshot,
  attemptId: string,
  found: KindFindings,
  before: Before | undefined,
): Promise<KindCount> {
  const { kind, complete } = found;
  const counts = await sql<Counts[]>`
    with ${comparison(sql, found, before)},
    written as (
      insert into lotline.audit_findings
        (run, kind, subject, severity, standing, lot_ids, lot_codes, numbers)
      select ${attemptId}::uuid, ${kind}, listed.* from listed
      returning standing
    )
    ${countsOf(sql, sql`written`)}`;
  return { kind, severity: KINDS[kind].severity, ...oneRow(counts), complete };
}

/** Receives findings: a JSON list of the table's rows without their `run`. */
export type FindingSink = (findings: string) => Promise<unknown>;

/** Findings that are read at once. One may have 130 kB: codes may be long. */
const FINDINGS_AT_ONCE = 100;

/** {@link saveFindings} for a snapshot on a replica, which can't: to a sink. */
export async function readFindings(
  { sql }: Snapshot,
  found: KindFindings,
  before: Before | undefined,
  sink: FindingSink,
): Promise<KindCount> {
  const { kind, complete } = found;
  await sql`
    declare findings no scroll cursor for
    with ${comparison(sql, found, before)},
    stored as materialized (select ${kind}::text as kind, listed.* from listed),
    counts as (${countsOf(sql, sql`stored`)})
    select to_jsonb(counts) as counts, null::text as finding from counts
    union all select null, to_jsonb(stored)::text from stored`;
  let counts: Counts | undefined;
  for (let isLast = false; !isLast;) {
    const rows = await sql.unsafe<{ counts: Counts | null; finding: string | null }[]>(
      `fetch ${FINDINGS_AT_ONCE} from findings`,
    );
    const findings = rows.flatMap(({ finding }) => finding ?? []);
    if (findings.length > 0) await sink(`[${findings.join()}]`);
    counts ??= rows.find((row) => row.counts !== null)?.counts ?? undefined;
    isLast = rows.length < FINDINGS_AT_ONCE;
  }
  await sql`close findings`;
  if (counts === undefined) throw new Error("findings were read without their counts");
  return { kind, severity: KINDS[kind].severity, ...counts, complete };
}

/** Stores findings that a replica's snapshot has given. */
export async function insertFindings(
  sql: Sql,
  attemptId: string,
  findings: string,
): Promise<void> {
  // Without waiting for the disk: what makes them count does.
  await sql`
    insert into lotline.audit_findings
      (run, kind, subject, severity, standing, lot_ids, lot_codes, numbers)
    select ${attemptId}::uuid, finding.*
    from jsonb_to_recordset(${findings}::text::jsonb) as finding (
      kind text, subject uuid, severity text, standing text, lot_ids uuid[], lot_codes text[],
      numbers jsonb
    )
    where set_config('synchronous_commit', 'off', true) = 'off'`;
}
