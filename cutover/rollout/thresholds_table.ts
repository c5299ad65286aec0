import type { Sql } from "../../db/connect.ts";
import { inTime } from "../../db/in_time.ts";
import { type Limits, LimitsForm } from "./thresholds.ts";
import type { Note } from "../routes/note.ts";

const LIMIT_COLUMNS = (sql: Sql) =>
  sql`window_seconds, min_samples, error_margin_percent, latency_factor, latency_slack_ms,
    late_percent, silence_percent, share_factor, lost_percent, raced_percent, min_successes`;

/** The limits that count now. */
export async function readLimits(sql: Sql): Promise<Limits> {
  const [row] = await inTime(
    sql,
    sql`select ${LIMIT_COLUMNS(sql)} from lotline.cutover_limits order by id desc limit 1`,
  );
  return LimitsForm.parse(row);
}

/** Gives evidence other limits from now on; those of before stay on record. */
export async function insertLimits(sql: Sql, limits: Limits, { who, why }: Note): Promise<void> {
  await inTime(sql, sql`insert into lotline.cutover_limits ${sql({ ...limits, who, why })}`);
}
