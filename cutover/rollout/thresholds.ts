import { z } from "zod";

const percent = z.number().min(0).max(100);

/** By which limits the evidence of a route is judged; the database holds the same bounds. */
export const ThresholdsForm = z.object({
  /** How far back requests count, from 30 seconds to a day. */
  window_seconds: z.int().min(30).max(86_400),
  /** So many answers and comparisons it takes to say that a route does well. */
  min_samples: z.int().min(10).max(1_000_000),
  /** How much greater Lotline's share of failed requests may be than the old server's, in points. */
  error_margin_percent: percent,
  /** Lotline's p99 may be so many times the old server's … */
  latency_factor: z.number().min(1).max(100),
  /** … and so many ms besides. */
  latency_slack_ms: z.int().min(0).max(60_000),
  /** So many comparisons may find that Lotline is behind by a moment. */
  late_percent: percent,
  /** With more comparisons than this unanswered, nothing is known well enough. */
  silence_percent: percent,
  /** The odds of the share that a canary moved may be so many times its step's, or as many less. */
  share_factor: z.number().min(1.5).max(1_000_000),
  /** With more of what was to be compared lost, the rest says too little. */
  lost_percent: percent,
  /** With more differences than this explained by changes of the data, little was really compared. */
  raced_percent: percent,
  /** So many comparisons must be of answers with 2xx: errors alone say little of a route. */
  min_successes: z.int().min(0).max(1_000_000),
});

/** See {@link ThresholdsForm}. */
export type Thresholds = Readonly<z.output<typeof ThresholdsForm>>;
