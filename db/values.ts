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

/**
 * PostgreSQL's text for a moment as the old server's driver and JSON.stringify showed it: its
 * microseconds cut, infinity as null.
 */
function toIsoText(text: string): string | null {
  const moment = parseMoment(text);
  return moment instanceof Date && !Number.isNaN(moment.getTime()) ? moment.toISOString() : null;
}
