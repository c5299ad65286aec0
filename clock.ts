let shownAt = Number.NaN;
let shown = "";

/** This moment in UTC, as `Date.toISOString` writes it. Made once a millisecond, for all who ask in it. */
export function timestamp(): string {
  const now = Date.now();
  if (now !== shownAt) {
    shownAt = now;
    shown = new Date(now).toISOString();
  }
  return shown;
}
