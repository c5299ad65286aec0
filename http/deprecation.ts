/**
 * An operation that goes away one day says so in each response, by the standards' headers:
 * `Deprecation` (RFC 9745), `Sunset` (RFC 8594) and `Link` to the page that names the replacement.
 * The policy is in docs/versions.md.
 *
 * @module
 */

/** What is known about the end of an operation. Dates are `2027-06-01`, from midnight UTC. */
export interface Deprecation {
  /** Since when clients should use something else. */
  readonly since: string;
  /** Until when the operation works, at least {@link MIN_DAYS} after `since`. */
  readonly sunset: string;
  /** The page that says what replaces it. */
  readonly link: string;
}

/** Between the first release that deprecates an operation and its end. */
export const MIN_DAYS = 183;
const DAY_MS = 86_400_000;

/**
 * The headers of an operation's responses.
 * @throws {RangeError} when a date is none, or the sunset is too early
 */
export function deprecationHeaders({ since, sunset, link }: Deprecation) {
  const [sinceMs, sunsetMs] = [timeOf(since), timeOf(sunset)];
  if (sunsetMs - sinceMs < MIN_DAYS * DAY_MS) {
    throw new RangeError(`${sunset} is less than ${MIN_DAYS} days after ${since}`);
  }
  return {
    // A date as a structured field (RFC 9651, 3.3.7): seconds since 1970.
    "Deprecation": `@${sinceMs / 1_000}`,
    "Sunset": new Date(sunsetMs).toUTCString(),
    "Link":
      `<${link}>; rel="deprecation"; type="text/html", <${link}>; rel="sunset"; type="text/html"`,
  };
}

function timeOf(date: string): number {
  const ms = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(ms)) throw new RangeError(`${date} is no date`);
  return ms;
}
