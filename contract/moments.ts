/**
 * Which moments a request may hold besides the form that `MomentIn` of openapi.yaml says: the year in
 * UTC has four digits. JSON Schema has no words for it, since it can't add an offset to a time of day.
 *
 * @module
 */

/** The days on which an offset, a leap second or rounding leads into a year of another form. */
const EDGE =
  /^(0001-01-01|9999-12-31)[Tt ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(?:[Zz]|([+-])(\d\d):?(\d\d)?)?$/;
/** Years of other forms that PostgreSQL reads, and the old server with it. */
const OTHER_YEAR = /^0*[1-9]\d{4,}-\d|\d\s*BC\s*$/i;

const DAY_SECONDS = 86_400;

/** Whether the year of a moment, in UTC and rounded to microseconds, isn't one from 0001 to 9999. */
export function isBeyondYears(moment: string): boolean {
  const [, day, hour, minute, second = "0", fraction = "0", sign, hours = "0", minutes = "0"] =
    EDGE.exec(moment) ?? [];
  if (day === undefined) return OTHER_YEAR.test(moment);
  // As PostgreSQL rounds, by which .9999999 is the next second.
  const microseconds = Math.round(Number(fraction) * 1e6);
  const local = Number(hour) * 3_600 + Number(minute) * 60 + Number(second) + microseconds / 1e6;
  const offset = (Number(hours) * 3_600 + Number(minutes) * 60) * (sign === "-" ? -1 : 1);
  return day === "9999-12-31" ? local - offset >= DAY_SECONDS : local - offset < 0;
}
