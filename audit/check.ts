import type { Statement } from "../db/sql.ts";
import type { Session } from "../db/session.ts";
import type { Kind } from "./kinds.ts";
import type { AuditLimits } from "./limits.ts";

/** The connection of an audit, in its transaction. */
export type AuditSql = Session["sql"];

/**
 * A query with a row for each finding: `subject` (uuid, unique; identifies the finding in other
 * audits), `lot_ids` (uuid[], the lots concerned) and `numbers` (jsonb).
 */
export type Found = Statement;

export interface Check {
  readonly kind: Kind;
  found(sql: AuditSql, limits: AuditLimits): Found;
}
