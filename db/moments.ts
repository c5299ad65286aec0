import { ApiError } from "../errors.ts";
import type { Sql } from "./sql.ts";
import { isRefusedValue } from "./pg_errors.ts";
import { runPrepared } from "./query_deadline.ts";
import { isUtc } from "./zone_names.ts";

const read = (moment: string) => `
  select case when moment >= '0001-01-01 00:00Z' and moment < '10000-01-01 00:00Z'
    then to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end as moment
  from (select ${moment} as moment) as read`;

const READ_IN_UTC = read("$1::text::timestamptz");
const READ_IN_ZONE = read("lotline.moment_in_zone($1::text, $2::text, $3::text)");

/** How PostgreSQL reads a moment. */
export interface ReadingRules {
  /** The time zone of a moment without an offset. */
  readonly zone: string;
  /** PostgreSQL's `DateStyle`: whether `7/8/2026` is in July or in August. */
  readonly dateStyle: string;
}

/** Those of our own sessions. */
const isOwn = ({ zone, dateStyle }: ReadingRules) => isUtc(zone) && dateStyle.endsWith("MDY");

/**
 * A moment in a form that only PostgreSQL reads (`Jan 18 2026 10:00 CET`), or without an offset, as
 * ISO 8601 in UTC.
 *
 * @throws {ApiError} 422 when PostgreSQL can't read it, or its year in UTC isn't from 0001 to 9999
 */
export async function readMoment(
  sql: Sql,
  field: string,
  text: string,
  rules: ReadingRules,
): Promise<string> {
  const statement = isOwn(rules)
    ? runPrepared<{ moment: string | null }>(sql, READ_IN_UTC, [text])
    : runPrepared<{ moment: string | null }>(sql, READ_IN_ZONE, [
      text,
      rules.zone,
      rules.dateStyle,
    ]);
  const rows = await statement.catch((error) => {
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
