import { ConfigError, readSettings } from "../config.ts";
import { type GatewayConfig, GatewaySettings } from "./config.ts";
import { logAddress } from "../db/address_log.ts";
import { databaseCertificates } from "../db/certificates.ts";
import { clockMetrics } from "../db/clock_metrics.ts";
import { connect } from "../db/connect.ts";
import { CUTOVER_SERIES } from "../db/migrations.ts";
import { poolMetrics } from "../db/pool_metrics.ts";
import { noteProcess } from "../db/processes.ts";
import { watchDatabase } from "../db/watch_database.ts";
import { ListenError } from "../listen_error.ts";
import { createLog } from "../log.ts";
import { certificateMetrics } from "../telemetry/certificates.ts";
import { eventLoopMetrics } from "../telemetry/event_loop.ts";
import { serveMetrics } from "../telemetry/metrics_server.ts";
import { processMetrics } from "../telemetry/process_metrics.ts";
import { endOnUncaught } from "../uncaught_errors.ts";
import { createAdmin } from "./admin/admin.ts";
import { readBuild } from "./build.ts";
import { startCollector } from "./evidence/collector.ts";
import { noteRun } from "./evidence/gateway_runs.ts";
import { createDepartureLog } from "./exchange/departure.ts";
import { startGatewayServer } from "./proxy/server.ts";
import { serverLimits } from "./proxy/server_limits.ts";
import { startAutoRollback } from "./rollout/auto_rollback.ts";
import { startPlanRunner } from "./rollout/plan_runner.ts";
import { verdictMetrics } from "./rollout/verdict_metrics.ts";
import { loadLiveRules } from "./compare/approvals.ts";
import { createGatewayMetrics } from "./evidence/metrics.ts";
import { stateMetrics } from "./evidence/state_metrics.ts";
import { createTrafficMetrics } from "./evidence/traffic_metrics.ts";
import { followModes } from "./routes/watch_routes.ts";
import { createRecorder } from "./record/recorder.ts";
import { createRedactor } from "./redact/redact.ts";
import { startRetention } from "./retention.ts";
import { createShadow } from "./shadow/shadow.ts";
import { answerHelp } from "../task_help.ts";

/** How long accepted requests may take to finish after SIGTERM, in ms. */
const GRACE_MS = 15_000;
/** How long waiting comparisons may take after that, in ms. */
const DRAIN_MS = 3_000;
/** How long the rest of the end may take, in ms. */
const END_SLACK_MS = 7_000;
/** Connections for the admin API, plans and recordings. */
const ADMIN_POOL = 2;

answerHelp({
  task: "gateway",
  settings: [GatewaySettings],
  exit: "0 stopped by a signal; 1 it could not start, or not stop in time",
});
try {
  await run(readSettings(GatewaySettings, Deno.env.toObject()));
} catch (error) {
  if (!(error instanceof ConfigError || error instanceof ListenError)) throw error;
  console.error(error.message);
  Deno.exit(1);
}

async function run(config: GatewayConfig): Promise<void> {
  const { DATABASE_URL: databaseUrl, LEGACY_URL: legacyUrl, SERVICE_URL: serviceUrl } = config;
  const { CANARY_BY: canaryBy, DRY_RUN_SECRET: dryRunSecret } = config;
  const { log, flush } = createLog(config.LOG_LEVEL);
  endOnUncaught(log);
  logAddress(databaseUrl, log);
  const rules = await loadLiveRules();
  const redactor = createRedactor(dryRunSecret);
  const sql = connect({ url: databaseUrl, max: ADMIN_POOL, name: "lotline-gateway" });
  const database = watchDatabase({ sql, series: CUTOVER_SERIES, log });
  const noted = noteProcess({
    sql,
    url: databaseUrl,
    kind: "gateway",
    connections: ADMIN_POOL,
    log,
  });

  const build = await readBuild(config.LOTLINE_COMMIT);
  const noting = noteRun({ sql, build, log });
  const modes = followModes({ databaseUrl, log });
  const metrics = createGatewayMetrics(modes.routeOf);
  const traffic = createTrafficMetrics();
  const collector = startCollector({ databaseUrl, redactor, log, onTrouble: metrics.trouble });
  const evidence = traffic.watch(metrics.watch(collector));
  const autoRollback = startAutoRollback({
    databaseUrl,
    log,
    onRollback(operation) {
      metrics.rolledBack(operation);
      modes.lookNow();
    },
  });
  const plans = startPlanRunner({ sql, log, onMoved: modes.lookNow });
  const recorder = createRecorder({ sql, redactor, log });
  const limits = serverLimits({
    bodyBytes: config.GATEWAY_BODY_LIMIT,
    responseTimeoutMs: config.UPSTREAM_TIMEOUT_SECONDS * 1_000,
  });
  const shadow = createShadow({
    legacyUrl,
    serviceUrl,
    dryRunSecret,
    rules,
    evidence,
    redactor,
    recorder,
    log,
    waitingBytes: limits.comparedBytes,
    responseBytes: limits.responseBytes,
  });
  const retention = startRetention({ databaseUrl, log });
  const logDeparture = createDepartureLog(log);

  const gateway = await startGatewayServer({
    hostname: config.HOST,
    port: config.GATEWAY_PORT,
    legacyUrl,
    serviceUrl,
    trustedProxies: config.TRUSTED_PROXIES,
    canaryBy,
    limits,
    routeOf: modes.routeOf,
    evidence,
    observer: shadow,
    onDeparture(operation, departure) {
      metrics.clientLeft(operation, departure);
      logDeparture(operation, departure);
    },
    onEnd: traffic.ended,
    log,
  });
  const admin = Deno.serve(
    { hostname: config.GATEWAY_ADMIN_HOST, port: config.GATEWAY_ADMIN_PORT, onListen() {} },
    createAdmin({
      token: config.GATEWAY_ADMIN_TOKEN,
      sql,
      modes,
      isSchemaBehind: () => database.isBehind,
      metrics,
      log,
    }),
  );
  const metricsServer = config.METRICS_PORT === undefined ? undefined : serveMetrics({
    hostname: config.METRICS_HOST,
    port: config.METRICS_PORT,
    sources: [
      { name: "gateway", text: metrics.text },
      { name: "gateway_traffic", text: traffic.text },
      stateMetrics({
        load: () => gateway.load,
        comparing: () => shadow.queue,
        evidenceLagMs: () => collector.lagMs,
        routes: () => modes.state,
        routeOf: modes.routeOf,
      }),
      verdictMetrics(sql),
      processMetrics("gateway"),
      eventLoopMetrics(),
      poolMetrics(),
      clockMetrics(noted),
      certificateMetrics(databaseCertificates("database", databaseUrl)),
    ],
    log,
  });
  log("info", "listening", {
    hostname: config.HOST,
    port: gateway.port,
    admin_port: admin.addr.port,
    // It must be the same in every gateway, or a client changes upstreams between them.
    canary_by: typeof canaryBy === "string" ? canaryBy : `header ${canaryBy.header}`,
  });

  let isStopping = false;
  const stop = async (signal: Deno.Signal) => {
    if (isStopping) return;
    isStopping = true;
    log("info", "stopping", { signal });
    setTimeout(() => {
      log("error", "drain_timed_out");
      Deno.exit(1);
    }, GRACE_MS + DRAIN_MS + END_SLACK_MS);
    const wasClean = await gateway.close(GRACE_MS);
    if (!wasClean) log("error", "stop_timed_out", { grace_ms: GRACE_MS });
    await shadow.drain(DRAIN_MS);
    shadow[Symbol.dispose]();
    await Promise.all([recorder[Symbol.asyncDispose](), collector[Symbol.asyncDispose]()]);
    await Promise.all(
      [autoRollback, plans, modes, retention].map((part) => part[Symbol.asyncDispose]()),
    );
    database[Symbol.dispose]();
    noted[Symbol.dispose]();
    noting[Symbol.dispose]();
    await metricsServer?.[Symbol.asyncDispose]();
    await admin.shutdown();
    await sql.end({ timeout: 1 });
    log("info", "stopped");
    flush();
    Deno.exit(wasClean ? 0 : 1);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => void stop(signal));
  }
  await admin.finished;
}
