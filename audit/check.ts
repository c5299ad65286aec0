import type { Statement } from "../db/sql.ts";
import type { Session } from "../db/session.ts";
import type { Kind } from "./kinds.ts";
import type { AuditLimits } from "./limits.ts";

/** The connection of an audit, in its transaction. */
export type AuditSql = Session["sql"];

/**
 * A query for what is wrong, one row a finding: `subject` (uuid, unique: what makes it the same
 * finding in another audit), `lot_ids` (uuid[], the lots concerned) and `numbers` (jsonb).
 */
export type Found = Statement;

/** One thing that an audit looks for. */
export interface Check {
  readonly kind: Kind;
  found(sql: AuditSql, limits: AuditLimits): Found;
}
