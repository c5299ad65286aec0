/** A part of each day, in minutes since midnight UTC; past midnight when `to` isn't later. */
export interface QuietHours {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

export const MINUTE_MS = 60_000;
export const DAY_MINUTES = 24 * 60;

/** The end of the current quiet hours, in ms since 1970; nothing if there are none `now`. */
export function quietUntil(hours: readonly QuietHours[], now: number): number | undefined {
  let minute = Math.floor(now / MINUTE_MS);
  const first = minute;
  // One may begin where, or before, another one ends.
  for (const _ of hours) {
    const ends = hours.map((one) => endOf(one, minute));
    minute = Math.max(minute, ...ends);
  }
  return minute === first ? undefined : minute * MINUTE_MS;
}

/** The end of these quiet hours if the minute is one of them, else the minute itself. */
function endOf({ from, to }: QuietHours, minute: number): number {
  const ofDay = minute % DAY_MINUTES;
  const midnight = minute - ofDay;
  if (from < to) return ofDay >= from && ofDay < to ? midnight + to : minute;
  if (ofDay >= from) return midnight + DAY_MINUTES + to;
  return ofDay < to ? midnight + to : minute;
}
