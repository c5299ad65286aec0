import type { AuditSql } from "./check.ts";

/** How long an audit is kept, in days; the last one that is done stays until there is another. */
export const KEPT_DAYS = 30;

/**
 * Removes audits that are too old, and findings of attempts that ended unfinished a day ago or
 * earlier, when no attempt that could still finish is left.
 *
 * @param except the id of an audit that stays, however long it had to wait for its turn
 */
export async function forgetAudits(sql: AuditSql, except: string): Promise<void> {
  await sql`
    delete from lotline.audits
    where created_at < now() - ${KEPT_DAYS}::int * interval '1 day' and id <> ${except}
      and id is distinct from (
        select id from lotline.audits where run is not null order by finished_at desc, id limit 1
      )`;
  await sql`
    delete from lotline.audit_findings finding
    where written_at < now() - interval '1 day'
      and not exists (select from lotline.audits where audits.run = finding.run)`;
}
