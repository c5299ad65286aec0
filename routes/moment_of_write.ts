import { ISO_MOMENT_PATTERN } from "../contract/moments.ts";
import type { Sql } from "../db/sql.ts";
import { readMoment } from "../db/moments.ts";

/**
 * The moment to store with a write. What the contract spells is stored as it is; what else was sent is
 * read by PostgreSQL first, so that nothing beyond the years 0001 to 9999 is ever stored.
 *
 * @throws {ApiError} 422 when it is no moment of these years
 */
export async function momentOfWrite<Moment extends string | null | undefined>(
  sql: Sql,
  field: string,
  sent: Moment,
): Promise<Moment | string> {
  if (typeof sent !== "string" || ISO_MOMENT_PATTERN.test(sent)) return sent;
  return await readMoment(sql, field, sent);
}
