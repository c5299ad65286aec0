/** The folders at the top that go away when the migration is over. */
export const CUTOVER: readonly string[] = ["cutover"];

/**
 * Tests of the service that read the whole tree, run what applies the cutover's migrations, or use
 * what is built in this tree only. They run in the copy without the cutover too, except
 * {@link ONLY_IN_WHOLE_TREE}.
 */
export const WHOLE_TREE_TESTS: readonly string[] = [
  "contract-tests/breaking_test.ts",
  "contract-tests/clock_test.ts",
  "contract-tests/compose_test.ts",
  "contract-tests/docs_test.ts",
  "contract-tests/generators_test.ts",
  "contract-tests/imports_test.ts",
  "contract-tests/log_events_test.ts",
  "contract-tests/released_test.ts",
  "db/additive_steps_test.ts",
  "db/migrate_main_test.ts",
  "db/migrate_test.ts",
  "deploy/kubernetes_test.ts",
  "deploy/observe_alerts_test.ts",
  "deploy/observe_test.ts",
  "dev/modules_test.ts",
  "faults/rolling_update_test.ts",
  "releasing",
  "telemetry/all_series_test.ts",
  "testing",
];

/** Those of them that say the same in the copy, since what they read is there unchanged or in git. */
export const ONLY_IN_WHOLE_TREE: readonly string[] = [
  "contract-tests/breaking_test.ts",
  "contract-tests/generators_test.ts",
  "contract-tests/released_test.ts",
  "deploy/kubernetes_test.ts",
  "deploy/observe_alerts_test.ts",
  "deploy/observe_test.ts",
  "faults/rolling_update_test.ts",
  "releasing",
  "telemetry/all_series_test.ts",
];

/**
 * Tests that wait for most of their time, for timeouts or for one response after the other. A run of
 * all tests has one of them beside those that need the processors.
 */
export const MOSTLY_WAITING: readonly string[] = [
  "auth/revocations_test.ts",
  "cache/valkey_test.ts",
  "contract-tests/generators_test.ts",
  "cutover/faults/gateway_failover_test.ts",
  "cutover/faults/gateway_modes_test.ts",
  "cutover/faults/gateway_wrong_start_test.ts",
  "cutover/faults/rolling_update_test.ts",
  "cutover/observe_test.ts",
  "cutover/parity/parity_test.ts",
  "db/silence_test.ts",
  "db/startup_test.ts",
  "db/tls_test.ts",
  "deploy/observe_alerts_test.ts",
  "faults/failover_test.ts",
  "faults/idempotency_test.ts",
  "faults/jobs_without_postgres_test.ts",
  "faults/jobs_without_valkey_test.ts",
  "faults/load_shedding_test.ts",
  "faults/postgres_test.ts",
  "faults/replica_test.ts",
  "faults/revocation_test.ts",
  "faults/rolling_update_test.ts",
  "faults/shared_valkey_test.ts",
  "faults/silence_test.ts",
  "faults/slow_statements_test.ts",
  "faults/store_runbooks_test.ts",
  "faults/wrong_server_test.ts",
  "faults/wrong_start_test.ts",
  "routes/login_by_password_test.ts",
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
  "releasing",
  "testing",
];
