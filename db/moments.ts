import { ApiError } from "../errors.ts";
import type { Sql } from "./sql.ts";
import { isRefusedValue } from "./pg_errors.ts";
import { runPrepared } from "./query_deadline.ts";

const READ = `
  select case when moment >= '0001-01-01 00:00Z' and moment < '10000-01-01 00:00Z'
    then to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end as moment
  from (select $1::text::timestamptz as moment) as read`;

/**
 * A moment in a form that only PostgreSQL reads (`Jan 18 2026 10:00 CET`), as ISO 8601.
 *
 * @throws {ApiError} 422 when PostgreSQL can't read it, or its year in UTC isn't from 0001 to 9999
 */
export async function readMoment(sql: Sql, field: string, text: string): Promise<string> {
  const rows = await runPrepared<{ moment: string | null }>(sql, READ, [text]).catch((error) => {
    throw isRefusedValue(error)
      ? refusal(field, "must be a moment that can be read", error)
      : error;
  });
  const moment = rows[0]?.moment;
  if (!moment) throw refusal(field, "must be in the years 0001 to 9999 of UTC");
  return moment;
}

function refusal(path: string, message: string, cause?: unknown): ApiError {
  return new ApiError("outside_contract", `${path} ${message}`, {
    details: [{ path, message }],
    cause,
  });
}
