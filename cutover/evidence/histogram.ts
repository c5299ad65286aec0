/*
 * How long answers took, as counts that can be added up across processes and minutes: each bucket
 * holds those within 2.5 % of its duration.
 */

/** Counts by bucket. */
export type Histogram = Readonly<Record<string, number>>;

const STEP = Math.log(1.05);
/** 0.1 ms: what is quicker is as quick. */
const FIRST = -47;
/** Two minutes: no gateway waits as long. */
const LAST = 240;

/** The bucket of a duration in ms. */
export function bucketOf(ms: number): number {
  if (!(ms > 0)) return FIRST;
  return Math.min(LAST, Math.max(FIRST, Math.round(Math.log(ms) / STEP)));
}

/** The duration that a bucket stands for, in ms. */
export function durationOf(bucket: number): number {
  return Math.exp(bucket * STEP);
}

/** The duration in ms that the share `quantile` of all, such as 0.99, doesn't exceed. */
export function quantileOf(histogram: Histogram, quantile: number): number | undefined {
  const buckets = sorted(histogram);
  const rank = Math.ceil(quantile * totalOf(histogram));
  let seen = 0;
  for (const [bucket, count] of buckets) {
    seen += count;
    if (seen >= rank && count > 0) return durationOf(bucket);
  }
  return undefined;
}

/** How many took longer than `ms`. */
export function countSlower(histogram: Histogram, ms: number): number {
  let slower = 0;
  for (const [bucket, count] of sorted(histogram)) if (durationOf(bucket) > ms) slower += count;
  return slower;
}

/** How many there are. */
export function totalOf(histogram: Histogram): number {
  return Object.values(histogram).reduce((sum, count) => sum + count, 0);
}

/** Both together. */
export function addHistogram(one: Histogram, other: Histogram): Histogram {
  const sum: Record<string, number> = { ...one };
  for (const [bucket, count] of Object.entries(other)) sum[bucket] = (sum[bucket] ?? 0) + count;
  return sum;
}

function sorted(histogram: Histogram): [bucket: number, count: number][] {
  return Object.entries(histogram)
    .map(([bucket, count]): [number, number] => [Number(bucket), count])
    .sort(([one], [other]) => one - other);
}
