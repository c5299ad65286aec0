import type { Sql } from "../../db/sql.ts";
import { queryWithDeadline } from "../../db/query_deadline.ts";
import { type Thresholds, ThresholdsForm } from "./thresholds.ts";
import type { Note } from "../routes/note.ts";

const THRESHOLD_COLUMNS = (sql: Sql) =>
  sql`window_seconds, min_samples, error_margin_percent, latency_factor, latency_slack_ms,
    late_percent, silence_percent, share_factor, lost_percent, raced_percent, min_successes`;

/** The limits that count now. */
export async function readThresholds(sql: Sql): Promise<Thresholds> {
  const [row] = await queryWithDeadline(
    sql,
    sql`select ${THRESHOLD_COLUMNS(sql)} from lotline.cutover_limits order by id desc limit 1`,
  );
  return ThresholdsForm.parse(row);
}

/** Gives evidence other limits from now on; those of before stay on record. */
export async function insertThresholds(
  sql: Sql,
  thresholds: Thresholds,
  { who, why }: Note,
): Promise<void> {
  await queryWithDeadline(
    sql,
    sql`insert into lotline.cutover_limits ${sql({ ...thresholds, who, why })}`,
  );
}
