// The parser of the old server's driver; the types that come with it describe another module.
// @ts-types="./postgres_date.d.ts"
import parseMoment from "postgres-date";

/** How values that aren't text are read and written. */
export const TYPES = {
  // Parameters are text that PostgreSQL reads itself: through a JavaScript Date microseconds would
  // be lost, and a time without a zone would be taken for this machine's.
  date: {
    to: 1184,
    from: [1082, 1114, 1184],
    serialize: (moment: string | null) => moment,
    parse: toIsoText,
  },
};

// Four-digit years, in UTC, which sessions set.
const PLAIN_MOMENT = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/;

/**
 * PostgreSQL's text for a moment as the old server's driver and JSON.stringify showed it: its
 * microseconds cut, infinity as null.
 */
export function toIsoText(text: string): string | null {
  // Nearly all have this form, and making dates would take a twentieth of a trace's time.
  const [, day, time, fraction = ""] = PLAIN_MOMENT.exec(text) ?? [];
  if (day !== undefined) return `${day}T${time}.${fraction.slice(0, 3).padEnd(3, "0")}Z`;
  const moment = parseMoment(text);
  return moment instanceof Date && !Number.isNaN(moment.getTime()) ? moment.toISOString() : null;
}
