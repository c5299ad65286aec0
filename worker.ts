import { serviceMetrics } from "./cache/service_metrics.ts";
import { createTraceInvalidation } from "./cache/trace_cache.ts";
import { connectValkey } from "./cache/valkey.ts";
import { createWalPositions } from "./cache/wal_position.ts";
import { ConfigError, readSettings } from "./config.ts";
import { logAddress } from "./db/address_log.ts";
import { connect } from "./db/connect.ts";
import { directAddress, DirectAddressError } from "./db/direct_address.ts";
import { followIdentity } from "./db/identity.ts";
import { noteTimeZone } from "./db/time_zone.ts";
import { SERVICE_SERIES } from "./db/migrations.ts";
import { plantMetrics } from "./db/plant_metrics.ts";
import { noteProcess } from "./db/processes.ts";
import { watchReplica } from "./db/replica.ts";
import { watchDatabase } from "./db/watch_database.ts";
import { createWorkGauges } from "./db/work_gauges.ts";
import { boundStoredResults } from "./jobs/bound_results.ts";
import { auditGenealogy } from "./jobs/audit_genealogy.ts";
import { type WorkerConfig, WorkerSettings } from "./jobs/config.ts";
import { keepBeating } from "./jobs/heartbeat.ts";
import { deepTrace } from "./jobs/deep_trace.ts";
import { isDirect, untilDirect } from "./jobs/direct.ts";
import { refreshTraces } from "./jobs/refresh_traces.ts";
import { createJobMetrics } from "./jobs/job_metrics.ts";
import { runRelay } from "./jobs/relay.ts";
import { followSchedule, SCHEDULE } from "./jobs/schedule.ts";
import { upkeep } from "./jobs/upkeep.ts";
import { createThreads } from "./jobs/threads.ts";
import { GRACE_MS, runWorker } from "./jobs/worker.ts";
import { ListenError } from "./listen_error.ts";
import { createLog } from "./log.ts";
import { answerHelp } from "./task_help.ts";
import { serveMetrics } from "./telemetry/metrics_server.ts";
import { endOnUncaught } from "./uncaught_errors.ts";

const jobsOf = (config: WorkerConfig) => [
  deepTrace,
  refreshTraces,
  upkeep,
  auditGenealogy({
    temperatures: config.AUDIT_TEMPERATURES,
    tolerancePercent: config.AUDIT_TOLERANCE_PERCENT,
  }, config.AUDIT_QUIET_HOURS),
];

/** Connections for the queue's own statements; jobs use another pool. */
const QUEUE_POOL = 3;
/** Added to the grace of running jobs before the process is ended, in ms. */
const END_SLACK_MS = 8_000;

answerHelp({
  task: "worker",
  settings: [WorkerSettings],
  exit: "0 stopped by a signal; 1 it could not start, or not stop in time",
});
try {
  await run(readSettings(WorkerSettings, Deno.env.toObject()));
} catch (error) {
  const hasSentence = error instanceof ConfigError ||
    error instanceof DirectAddressError ||
    error instanceof ListenError;
  if (!hasSentence) throw error;
  console.error(error.message);
  Deno.exit(1);
}

async function run(config: WorkerConfig): Promise<void> {
  const address = directAddress(config);
  const { url } = address;
  const { log, flush } = createLog(config.LOG_LEVEL);
  endOnUncaught(log);
  logAddress(url, log);
  const sql = connect({ url, max: config.DATABASE_POOL_MAX, name: "lotline-worker" });
  const queueSql = connect({ url, max: QUEUE_POOL, name: "lotline-queue" });
  const identity = followIdentity({ sql: queueSql, log });
  const valkey = config.VALKEY_URL === undefined
    ? undefined
    : connectValkey(config.VALKEY_URL, log, {
      caFile: config.VALKEY_CA_FILE,
      database: identity,
    });

  const end = new AbortController();
  const { signal } = end;
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(name, () => {
      if (signal.aborted) return;
      log("info", "stopping", { signal: name });
      end.abort();
      setTimeout(() => {
        log("error", "stop_timed_out", { grace_ms: GRACE_MS + END_SLACK_MS });
        Deno.exit(1);
      }, GRACE_MS + END_SLACK_MS);
    });
  }

  const name = `worker-${crypto.randomUUID().slice(0, 8)}`;
  const database = watchDatabase({ sql: queueSql, series: SERVICE_SERIES, log });
  const noted = noteProcess({
    sql: queueSql,
    url,
    kind: "worker",
    connections: config.DATABASE_POOL_MAX + QUEUE_POOL,
    timeZone: config.TIME_ZONE,
    log,
  });
  const { HEARTBEAT_FILE: heartbeat } = config;
  const beating = heartbeat === undefined ? undefined : keepBeating(heartbeat, { signal, log });
  const replica = config.DATABASE_REPLICA_URL === undefined ? undefined : watchReplica({
    url: config.DATABASE_REPLICA_URL,
    sql: queueSql,
    series: SERVICE_SERIES,
    log,
  });
  const definitions = jobsOf(config);
  const kinds = definitions.map(({ kind }) => kind);
  const { METRICS_PORT: metricsPort } = config;
  const metrics = metricsPort === undefined ? undefined : createJobMetrics(kinds);
  const metricsServer = metrics === undefined || metricsPort === undefined
    ? undefined
    : serveMetrics({
      hostname: config.METRICS_HOST,
      port: metricsPort,
      sources: [
        ...serviceMetrics("worker", {
          databaseUrl: url,
          replicaUrl: config.DATABASE_REPLICA_URL,
          noted,
          valkey,
          config,
        }),
        metrics,
        { name: "work", text: createWorkGauges({ sql: queueSql, log, kinds, isWhole: true }) },
        ...plantMetrics({ databaseUrl: url, schedule: SCHEDULE.map(({ name }) => name) }),
      ],
      log,
    });
  const canBegin = await isDirect(address, log).finally(flush);
  log("info", "working", { worker: name, at_once: config.WORKER_CONCURRENCY });
  if (!canBegin) await untilDirect(address, log, signal).finally(flush);
  await Promise.all([
    beating,
    noteTimeZone({ databaseUrl: url, setting: config.TIME_ZONE, log }, signal),
    runRelay({
      databaseUrl: url,
      invalidation: valkey && createTraceInvalidation(valkey),
      walPositions: valkey && createWalPositions(valkey),
      log,
    }, signal),
    boundStoredResults(queueSql, config.TRACE_STORAGE_MAX_MB * 1_000_000, { signal, log }),
    followSchedule(SCHEDULE, {
      sql: queueSql,
      log,
      signal,
      quietHours: config.AUDIT_QUIET_HOURS,
    }),
    runWorker(definitions, {
      sql,
      queueSql,
      createThreads: (statementTimeoutMs) =>
        createThreads({
          databaseUrl: url,
          replicaUrl: replica?.url,
          name: "lotline-job",
          statementTimeoutMs,
        }),
      replica,
      valkey,
      metrics,
      log,
    }, {
      name,
      maxConcurrent: config.WORKER_CONCURRENCY,
      leaseMs: config.JOB_LEASE_SECONDS * 1_000,
      signal,
    }),
  ]);

  await metricsServer?.[Symbol.asyncDispose]();
  database[Symbol.dispose]();
  replica?.[Symbol.dispose]();
  noted[Symbol.dispose]();
  identity[Symbol.dispose]();
  await Promise.all([sql.end({ timeout: 1 }), queueSql.end({ timeout: 1 })]);
  valkey?.close();
  log("info", "stopped");
  flush();
  Deno.exit(0);
}
