/** The folders at the top that go away when the migration is over. */
export const CUTOVER: readonly string[] = ["cutover"];

/** Programs for those who work on Lotline, at the top or in the cutover: not run in production. */
export const TOOLS: readonly string[] = [
  "bench",
  "containers",
  "contract-tests",
  "dev",
  "faults",
  "odd_requests",
  "practice",
  "testing",
];
