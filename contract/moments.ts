/**
 * The times that a request may contain: those that `TimestampInput` of openapi.yaml describes, and
 * anything else that PostgreSQL reads as one time of the years 0001 to 9999. JSON Schema can't
 * express a year in UTC, which needs an offset added to the time of day, nor PostgreSQL's other
 * spellings.
 *
 * @module
 */

// In the years 0001 and 9999 an offset may lead to a year of another form; see below.
const YEAR = "(?:000[2-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-8][0-9]{3}" +
  "|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])";
const LEAP_YEAR =
  "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)";
const MONTH_AND_DAY = "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])" +
  "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
const DATE = `(?:${YEAR}-${MONTH_AND_DAY}|${LEAP_YEAR}-02-29)`;
const HOUR_AND_MINUTE = "(?:[01][0-9]|2[0-3]):[0-5][0-9]";
// PostgreSQL accepts no time after 24:00:00, so 23:59:60 has no fraction.
const TIME_OF_DAY = `(?:${HOUR_AND_MINUTE}` +
  "(?::(?:[0-5][0-9](?:\\.[0-9]{1,30})?|60(?:\\.0{1,30})?))?|24:00(?::00(?:\\.0{1,30})?)?)";
const ZONE = "(?:[Zz]|[+-](?:0[0-9]|1[0-5])(?::[0-5][0-9](?::[0-5][0-9])?|[0-5][0-9])?)";
const EDGE_YEAR_TIME =
  `(?:0001|9999)-${MONTH_AND_DAY}(?:[Tt ]${HOUR_AND_MINUTE}(?::[0-5][0-9])?[Zz]?)?`;

/** A time in the spelling of RFC 3339 and its relatives; PostgreSQL reads all of them. */
export const ISO_MOMENT_PATTERN = new RegExp(
  `^(?:${DATE}(?:[Tt ]${TIME_OF_DAY}${ZONE}?)?|${EDGE_YEAR_TIME})$`,
);

/** Whether a time that {@link ISO_MOMENT_PATTERN} matches has an offset, or `Z`. */
export function hasOffset(moment: string): boolean {
  return /[Zz+-]/.test(moment.slice("2026-01-19".length));
}

/** PostgreSQL's words for times that depend on the moment of reading, or that are no times. */
const BY_WORD = /now|today|tomorrow|yesterday|epoch|infinity/i;

/** Whether a text contains such a word; no zone or month name does. */
export function isMomentByWord(moment: string): boolean {
  return BY_WORD.test(moment);
}

/** The days on which an offset, a leap second or rounding leads to a year of another form. */
const EDGE =
  /^(0001-01-01|9999-12-31)[Tt ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(?:[Zz]|([+-])(\d\d):?(\d\d)?(?::(\d\d))?)?$/;
/** Years of other forms that PostgreSQL and the old server read. */
const OTHER_YEAR = /^0*[1-9]\d{4,}-\d|\d\s*BC\s*$/i;

const DAY_SECONDS = 86_400;

/** Whether the year, in UTC and rounded to microseconds, is outside 0001 to 9999. */
export function isBeyondYears(moment: string): boolean {
  const [, day, hour, minute, second = "0", fraction = "0", sign, ...offset] = EDGE.exec(moment) ??
    [];
  if (day === undefined) return OTHER_YEAR.test(moment);
  // PostgreSQL rounds .9999999 to the next second.
  const microseconds = Math.round(Number(fraction) * 1e6);
  const local = Number(hour) * 3_600 + Number(minute) * 60 + Number(second) + microseconds / 1e6;
  const [hours = 0, minutes = 0, seconds = 0] = offset.map((part) => Number(part ?? 0));
  const utc = local - (hours * 3_600 + minutes * 60 + seconds) * (sign === "-" ? -1 : 1);
  return day === "9999-12-31" ? utc >= DAY_SECONDS : utc < 0;
}
