/*
 * How long responses took, as counts that can be added up across processes and minutes. Each bucket
 * holds the durations within 2.5 % of its own.
 */

export type Histogram = Readonly<Record<string, number>>;

const STEP = Math.log(1.05);
/** 0.1 ms: shorter durations count here. */
const FIRST = -47;
/** Two minutes: no gateway waits longer. */
const LAST = 240;

export function bucketOf(ms: number): number {
  if (!(ms > 0)) return FIRST;
  return Math.min(LAST, Math.max(FIRST, Math.round(Math.log(ms) / STEP)));
}

/** The duration that a bucket stands for, in ms. */
export function durationOf(bucket: number): number {
  return Math.exp(bucket * STEP);
}

/** The duration in ms that a share of all, such as 0.99, doesn't exceed; undefined without any. */
export function quantileOf(histogram: Histogram, quantile: number): number | undefined {
  const rank = Math.ceil(quantile * totalOf(histogram));
  let seen = 0;
  for (const [bucket, count] of countsOf(histogram).sort(([one], [other]) => one - other)) {
    seen += count;
    if (seen >= rank && count > 0) return durationOf(bucket);
  }
  return undefined;
}

/** How many took longer than `ms`. */
export function countSlower(histogram: Histogram, ms: number): number {
  return countsOf(histogram)
    .reduce((sum, [bucket, count]) => durationOf(bucket) > ms ? sum + count : sum, 0);
}

export function totalOf(histogram: Histogram): number {
  return Object.values(histogram).reduce((sum, count) => sum + count, 0);
}

export function addHistogram(one: Histogram, other: Histogram): Histogram {
  const sum: Record<string, number> = { ...one };
  for (const [bucket, count] of Object.entries(other)) sum[bucket] = (sum[bucket] ?? 0) + count;
  return sum;
}

const countsOf = (histogram: Histogram) =>
  Object.entries(histogram).map(([bucket, count]) => [Number(bucket), count] as const);
