import type { components } from "../contract/types.gen.ts";
import type { Sql } from "./sql.ts";
import { claimSlot, type ScheduledWork, type Slot } from "./cron_runs.ts";
import {
  findExecuted,
  type IdempotencyKey,
  saveResponse,
  withSavedKey,
} from "./idempotency_keys.ts";
import { timed } from "./query_deadline.ts";
import { newJob, onSameWork } from "./jobs.ts";

/** An audit as responses show it. */
export type Audit = components["schemas"]["Audit"];

/** A finding as responses show it. */
export type Finding = components["schemas"]["AuditFinding"];

/** The kind of the job that does an audit; its argument is the audit's id. */
export const AUDIT_JOB_KIND = "audit_genealogy";

const SELECT_AUDITS = (sql: Sql) =>
  sql`select audit.id,
    case
      when audit.run is not null then 'done'
      when job.state = 'ready' then 'queued'
      when job.state in ('running', 'cancelled') then job.state
      -- Dead, or its job was deleted.
      else 'failed'
    end as state,
    case when job.state = 'running' and job.progress is not null then jsonb_build_object(
      'checked', job.progress -> 'checked', 'of', job.progress -> 'of',
      'lots', job.progress -> 'lots', 'links', job.progress -> 'links'
    ) end as progress,
    audit.created_at, audit.as_of, audit.finished_at, audit.compared_with, audit.summary
    from lotline.audits audit left join lotline.jobs job on job.id = audit.job_id`;

// There is one audit at a time, for all accounts.
const UNIQUE_KEY = "genealogy";

/** The audits of a slot, and those that a person has requested since. */
export const AUDIT_WORK: ScheduledWork = { kind: AUDIT_JOB_KIND, uniqueKey: UNIQUE_KEY };

/**
 * Stores an audit with its job. While another one waits or runs, that one is returned, and is urgent
 * from now on.
 *
 * @param requestedBy the user's id, if known
 * @param account see `account` in http/operation.ts
 * @param key is stored with the job and, later, with the audit
 */
export async function insertAudit(
  sql: Sql,
  requestedBy: string | null,
  account: string,
  key?: IdempotencyKey,
): Promise<Audit> {
  const id = crypto.randomUUID();
  const job = newJob(sql, {
    kind: AUDIT_JOB_KIND,
    args: { auditId: id },
    priority: 0,
    uniqueKey: UNIQUE_KEY,
    account,
  });
  const [inserted] = await timed(sql)<{ job_id: string }[]>`
    with job as (${job}), audit as (
      insert into lotline.audits (id, job_id, requested_by, account)
      select ${id}, id, ${requestedBy}, ${account} from job
      on conflict (job_id) do nothing
    )${withSavedKey(sql, key, sql`id from job`)}
    select id as job_id from job`;
  // The statement can't see an audit that was stored while it ran.
  const audit = await findAuditOfJob(sql, inserted?.job_id);
  return key === undefined ? audit : await saveResponse(sql, key, audit);
}

/** The audit that was sent for a key; the requested one, if none was sent yet. */
export async function findSavedAudit(sql: Sql, key: IdempotencyKey): Promise<Audit> {
  const { effect, response } = await findExecuted<Audit>(sql, key);
  return response ?? await saveResponse(sql, key, await findAuditOfJob(sql, effect));
}

async function findAuditOfJob(sql: Sql, jobId: string | undefined): Promise<Audit> {
  const [audit] = await timed(sql)<Audit[]>`
    ${SELECT_AUDITS(sql)} where audit.job_id = ${jobId ?? null}`;
  if (audit === undefined) throw new Error("a job has no audit");
  return audit;
}

/**
 * Stores an audit that nobody waits for, once a slot, unless one waits or runs already. Returns
 * whether it did.
 */
export async function insertAuditOfSlot(sql: Sql, slot: Slot): Promise<boolean> {
  const id = crypto.randomUUID();
  const { count } = await timed(sql)`
    with ${claimSlot(sql, slot)}, job as (
      insert into lotline.jobs (kind, arguments, unique_key)
      select ${AUDIT_JOB_KIND}, ${sql.json({ auditId: id })}::jsonb, ${UNIQUE_KEY} from slot
      ${onSameWork(sql)} do nothing returning id
    )
    insert into lotline.audits (id, job_id) select ${id}::uuid, id from job returning id`;
  return count > 0;
}

export async function findAudit(sql: Sql, id: string): Promise<Audit | undefined> {
  const [audit] = await timed(sql)<Audit[]>`${SELECT_AUDITS(sql)} where audit.id = ${id}`;
  return audit;
}

interface Page<T> {
  readonly items: readonly T[];
  readonly isLast: boolean;
}

/**
 * The newest audits, or those that come after one of them. None come after an unknown audit: the
 * oldest are deleted first.
 */
export async function listAudits(
  sql: Sql,
  { limit, after }: { readonly limit: number; readonly after?: string | undefined },
): Promise<Page<Audit>> {
  const audits = await timed(sql)<Audit[]>`
    ${SELECT_AUDITS(sql)}
    ${
    after === undefined ? sql`` : sql`where (audit.created_at, audit.id) < (
      select created_at, id from lotline.audits where id = ${after}
    )`
  }
    order by audit.created_at desc, audit.id desc limit ${limit + 1}`;
  return { items: audits.slice(0, limit), isLast: audits.length <= limit };
}

/** The position just after the finding with this kind and subject. */
export interface FindingPosition {
  readonly kind: string;
  readonly subject: string;
}

// A thousand cycles of lots with the longest possible codes are 130 MB.
const PAGE_BYTES = 1_000_000;

/**
 * The findings of an audit by kind and subject; none while it isn't done. A page ends early with the
 * finding that makes it larger than 1 MB.
 */
export async function listFindings(
  sql: Sql,
  auditId: string,
  { limit, after, kind, severity, standing }:
    & { readonly limit: number; readonly after?: FindingPosition | undefined }
    & Readonly<Partial<Record<"kind" | "severity" | "standing", string | undefined>>>,
): Promise<Page<{ readonly finding: Finding; readonly subject: string }>> {
  const only = (column: string, value: string | undefined) =>
    value === undefined ? sql`` : sql`and ${sql(column)} = ${value}`;
  const rows = await timed(sql)<
    (Finding & { readonly subject: string; readonly is_last: boolean })[]
  >`
    select subject, is_last, kind, severity, standing, lots, numbers
    from (
      select *, place = count(*) over () as is_last,
        sum(octet_length(lots::text) + octet_length(numbers::text)) over (
          order by place rows between unbounded preceding and 1 preceding
        ) as bytes_before
      from (
        select *, row_number() over (order by kind, subject) as place, (
          select coalesce(jsonb_agg(
            jsonb_build_object('id', id, 'lot_code', lot_code) order by position
          ), '[]')
          from unnest(lot_ids, lot_codes) with ordinality as lot (id, lot_code, position)
        ) as lots
        from lotline.audit_findings
        where run = (select run from lotline.audits where id = ${auditId})
          ${only("kind", kind)} ${only("severity", severity)} ${only("standing", standing)}
          ${
    after === undefined ? sql`` : sql`
            and (kind, subject) > (${after.kind}::text, ${after.subject}::uuid)`
  }
        order by kind, subject limit ${limit + 1}
      ) page
    ) sized
    where coalesce(bytes_before, 0) < ${PAGE_BYTES}::int
    order by place limit ${limit}`;
  return {
    items: rows.map(({ subject, is_last: _, ...finding }) => ({ subject, finding })),
    isLast: rows.at(-1)?.is_last ?? true,
  };
}

/** A result whose findings are stored under an attempt's id. */
export interface AuditResult {
  readonly attemptId: string;
  /** The moment that it shows, as ISO text. */
  readonly asOf: string;
  /** The id of the audit that it was compared with. */
  readonly comparedWith: string | null;
  readonly summary: NonNullable<Audit["summary"]>;
}

export async function finishAudit(
  tx: Sql,
  auditId: string,
  { attemptId, asOf, comparedWith, summary }: AuditResult,
): Promise<void> {
  await timed(tx)`
    update lotline.audits set run = ${attemptId}, finished_at = now(),
      as_of = ${asOf}::text::timestamptz, compared_with = ${comparedWith},
      summary = ${tx.json(summary)}
    where id = ${auditId}`;
}
