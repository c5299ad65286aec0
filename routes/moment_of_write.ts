import { ISO_MOMENT_PATTERN } from "../contract/moments.ts";
import type { Sql } from "../db/sql.ts";
import { readMoment } from "../db/moments.ts";

/**
 * The time to store with a write. PostgreSQL reads what the contract does not spell out, so that
 * nothing outside the years 0001 to 9999 is stored.
 *
 * @throws {ApiError} 422 no time in these years
 */
export async function momentOfWrite<Moment extends string | null | undefined>(
  sql: Sql,
  field: string,
  sent: Moment,
): Promise<Moment | string> {
  if (typeof sent !== "string" || ISO_MOMENT_PATTERN.test(sent)) return sent;
  return await readMoment(sql, field, sent);
}
