/** The folders at the top that go away when the migration is over. */
export const CUTOVER: readonly string[] = ["cutover"];

/**
 * Tests of the service that read the whole tree, run what applies the cutover's migrations, or use
 * what is built in this tree only. They run in the copy without the cutover too.
 */
export const WHOLE_TREE_TESTS: readonly string[] = [
  "contract-tests/breaking_test.ts",
  "contract-tests/clock_test.ts",
  "contract-tests/compose_test.ts",
  "contract-tests/docs_test.ts",
  "contract-tests/imports_test.ts",
  "contract-tests/log_events_test.ts",
  "db/migrate_main_test.ts",
  "db/migrate_test.ts",
  "dev/modules_test.ts",
  "testing",
];

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
