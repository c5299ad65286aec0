let shownAt = Number.NaN;
let shown = "";

/** The current time in UTC, in the form of `Date.toISOString`; computed once per millisecond. */
export function timestamp(): string {
  const now = Date.now();
  if (now !== shownAt) {
    shownAt = now;
    shown = new Date(now).toISOString();
  }
  return shown;
}
