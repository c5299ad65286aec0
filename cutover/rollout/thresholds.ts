import { z } from "zod";
import type { Sql } from "../../db/sql.ts";
import { timed } from "../../db/query_deadline.ts";
import type { Note } from "../routes/routing.ts";

const percent = z.number().min(0).max(100);

/** The limits that a verdict uses; the database checks the same bounds. */
export const ThresholdsForm = z.object({
  /** How far back requests count, from 30 seconds to a day. */
  window_seconds: z.int().min(30).max(86_400),
  /** The least number of responses of each server, and of comparisons, for a pass. */
  min_samples: z.int().min(10).max(1_000_000),
  /** How far Lotline's share of failed requests may exceed the old server's, in percentage points. */
  error_margin_percent: percent,
  /** Lotline's p99 may be at most this multiple of the old server's … */
  latency_factor: z.number().min(1).max(100),
  /** … plus these ms. */
  latency_slack_ms: z.int().min(0).max(60_000),
  /** The greatest share of `late` comparisons, at which Lotline's data were a moment old. */
  late_percent: percent,
  /** The greatest share of unanswered comparisons for a pass. */
  silence_percent: percent,
  /** How many times the odds of the share that a canary moved may differ from those of its step. */
  share_factor: z.number().min(1.5).max(1_000_000),
  /** The greatest share of lost comparisons for a pass. */
  lost_percent: percent,
  /** The greatest share of comparisons that a change of the data explains, for a pass. */
  raced_percent: percent,
  /** The least number of comparisons of 2xx responses for a pass: errors alone show little. */
  min_successes: z.int().min(0).max(1_000_000),
});

export type Thresholds = Readonly<z.output<typeof ThresholdsForm>>;

export async function readThresholds(sql: Sql): Promise<Thresholds> {
  const [row] = await timed(sql)`
    select ${sql(Object.keys(ThresholdsForm.shape))} from lotline.cutover_limits
    order by id desc limit 1`;
  return ThresholdsForm.parse(row);
}

/** Sets the thresholds from now on; earlier ones stay on record. */
export async function insertThresholds(sql: Sql, thresholds: Thresholds, { who, why }: Note) {
  await timed(sql)`insert into lotline.cutover_limits ${sql({ ...thresholds, who, why })}`;
}
