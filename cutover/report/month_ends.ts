/** A stretch of time, both ends UTC text. */
export interface Stretch {
  readonly from: string;
  readonly to: string;
}

const DAY_MS = 86_400_000;

/** The parts of a stretch that none of the others covers, oldest first. `others`: apart, oldest first. */
export function gapsIn({ from, to }: Stretch, others: readonly Stretch[]): Stretch[] {
  const gaps: Stretch[] = [];
  let at = from;
  for (const other of others) {
    if (other.to <= at) continue;
    if (other.from >= to) break;
    if (other.from > at) gaps.push({ from: at, to: other.from });
    at = other.to;
  }
  if (at < to) gaps.push({ from: at, to });
  return gaps;
}

export function daysOf(stretches: readonly Stretch[]): number {
  const ms = stretches.reduce((sum, { from, to }) => sum + Date.parse(to) - Date.parse(from), 0);
  return ms / DAY_MS;
}

/**
 * The month's ends that a stretch holds with the day before and the day after, so that the plant's own
 * midnight is among them in any time zone. `gaps`: what doesn't count of it.
 */
export function monthEndsIn({ from, to }: Stretch, gaps: readonly Stretch[]): string[] {
  const ends: string[] = [];
  const start = new Date(from);
  for (let months = 1;; months++) {
    const end = Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + months, 1);
    const before = new Date(end - DAY_MS).toISOString();
    const after = new Date(end + DAY_MS).toISOString();
    if (after > to) return ends;
    const isSeen = before >= from && !gaps.some((gap) => gap.from < after && gap.to > before);
    if (isSeen) ends.push(new Date(end - 1).toISOString().slice(0, 7));
  }
}
