/** PostgreSQL's names, in lower case, of zones that were UTC at all times. */
const UTC: ReadonlySet<string> = new Set(
  ["utc", "uct", "universal", "zulu", "gmt", "gmt0", "gmt+0", "gmt-0", "greenwich"]
    .flatMap((name) => [name, `etc/${name}`]),
);

/** Whether a time zone is UTC; its name is in any case, as for PostgreSQL. */
export function isUtc(zone: string): boolean {
  return UTC.has(zone.toLowerCase());
}

/** Whether two names are of one time zone. */
export function isSameZone(one: string, other: string): boolean {
  return isUtc(one) && isUtc(other) || canonical(one) === canonical(other);
}

/** One name of the several that a zone has: `Asia/Kolkata` is `Asia/Calcutta` too. */
function canonical(zone: string): string {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    // A zone that only PostgreSQL names, such as <+02>-02.
    return zone.toLowerCase();
  }
}
