import { createGuard } from "./auth/guard.ts";
import { createLongPasswordNotes } from "./auth/long_passwords.ts";
import { createPasswords } from "./auth/passwords.ts";
import { followRevocations } from "./auth/revocations.ts";
import { createSignInByEmail } from "./auth/sign_in_by_email.ts";
import { createSignInByPassword } from "./auth/sign_in_by_password.ts";
import { createLoginThrottle } from "./auth/throttle.ts";
import {
  AUDIENCE,
  createTokenIssuer,
  createTokenVerifier,
  LEGACY_AUDIENCE,
} from "./auth/tokens.ts";
import type { WatchedKeys } from "./auth/watched_keys.ts";
import { createTraceCache } from "./cache/trace_cache.ts";
import type { Valkey } from "./cache/valkey.ts";
import type { Config } from "./config.ts";
import { CONNECT_TIMEOUT_MS } from "./db/connect.ts";
import { inLane } from "./db/pool.ts";
import type { Sql } from "./db/sql.ts";
import { openSession } from "./db/session.ts";
import { createTimeZone } from "./db/time_zone.ts";
import { SERVICE_SERIES } from "./db/migrations.ts";
import { watchReplica } from "./db/replica.ts";
import { watchDatabase } from "./db/watch_database.ts";
import { writeTo } from "./db/write.ts";
import { createClientReader } from "./client_address.ts";
import { createDryRunStep } from "./dry_run/step.ts";
import { corsPolicy } from "./http/cors.ts";
import { createRequestPipeline, type Limits } from "./http/request_pipeline.ts";
import { App } from "./http/operation.ts";
import type { Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { BUDGET_MS, createInlineTracer } from "./lineage/inline.ts";
import { createDeepTrace } from "./routes/create_deep_trace.ts";
import { createLot } from "./routes/create_lot.ts";
import { createQcDecision } from "./routes/create_qc_decision.ts";
import { documents } from "./routes/documents.ts";
import { getDeepTrace } from "./routes/get_deep_trace.ts";
import { createAudit } from "./routes/create_audit.ts";
import { getAudit } from "./routes/get_audit.ts";
import { getHealth } from "./routes/get_health.ts";
import { getMetrics } from "./routes/get_metrics.ts";
import { getSigningKeys } from "./routes/get_signing_keys.ts";
import { getTraceability } from "./routes/get_traceability.ts";
import type { RouteDeps } from "./routes/deps.ts";
import { createLargeTraces } from "./routes/large_traces.ts";
import { listAudits } from "./routes/list_audits.ts";
import { login } from "./routes/login.ts";
import { logout } from "./routes/logout.ts";
import { getLiveness, getReadiness } from "./routes/probes.ts";
import { startPage } from "./routes/start_page.ts";

/** A connection for traces is closed after this long without work, in ms. */
const TRACE_SESSION_IDLE_MS = 60_000;

interface ApiDeps {
  readonly config: Config;
  readonly sql: Sql;
  readonly valkey?: Valkey | undefined;
  readonly keys: WatchedKeys;
  readonly limits: Limits;
  readonly log: Log;
  /** Aborted when the process is about to end. */
  readonly stopping: AbortSignal;
}

const traceSessionOf = (url: string, readOnly = false) => (onEnd: () => void) =>
  openSession(url, {
    name: "lotline-traces",
    statementTimeoutMs: BUDGET_MS,
    lockTimeoutMs: BUDGET_MS,
    idleTimeoutMs: TRACE_SESSION_IDLE_MS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    readOnly,
    onEnd,
  });

/** The routes, the request pipeline around them and their metrics. Disposing ends their timers and threads. */
export function createApi(deps: ApiDeps) {
  const { config, sql, valkey, keys, log } = deps;
  const mode = config.AUTH_MODE;
  const isRequired = mode === "required";
  const minutes = config.TOKEN_TTL_MINUTES;
  const metrics = createMetrics();
  const database = watchDatabase({ sql, series: SERVICE_SERIES, log });
  const revocations = followRevocations(deps);
  const write = writeTo(inLane(sql, "writes"));
  const throttle = createLoginThrottle({
    perAccount: config.LOGIN_MAX_FAILURES_PER_ACCOUNT,
    perAddress: config.LOGIN_MAX_FAILURES_PER_ADDRESS,
    valkey,
  });
  const dryRuns = createDryRunStep({
    ...deps,
    databaseUrl: config.DATABASE_URL,
    secret: config.DRY_RUN_SECRET,
    throttle,
    metrics,
  });
  const traceCache = valkey && createTraceCache(valkey, metrics);
  const replicaUrl = config.DATABASE_REPLICA_URL;
  const replica = replicaUrl === undefined
    ? undefined
    : watchReplica({ url: replicaUrl, sql, series: SERVICE_SERIES, log });
  const inlineTracer = createInlineTracer(
    traceSessionOf(config.DATABASE_URL),
    config.DATABASE_URL,
    replica && {
      watch: replica,
      open: traceSessionOf(replica.url, true),
      onRead: metrics.ofReplica(replica),
    },
  );
  const largeTraces = createLargeTraces(config.DATABASE_URL);
  const timeZone = createTimeZone({
    databaseUrl: config.DATABASE_URL,
    setting: config.TIME_ZONE,
    log,
  });
  const serve = createRequestPipeline({
    app: createRoutes({
      ...deps,
      database,
      replica,
      mode,
      timeZone,
      inlineTracer,
      largeTraces,
      signIn: isRequired
        ? createSignInByPassword(inLane(sql, "logins"), createPasswords(), log)
        : createSignInByEmail(inLane(sql, "logins")),
      revocations,
      metrics,
      traceCache,
    }),
    guard: createGuard({
      mode,
      verify: createTokenVerifier(
        keys,
        minutes,
        isRequired ? [AUDIENCE] : [AUDIENCE, LEGACY_AUDIENCE],
      ),
      revocations,
      metricsToken: config.METRICS_TOKEN,
    }),
    cors: corsPolicy(config.CORS_ORIGINS),
    readClient: createClientReader(config.TRUSTED_PROXIES),
    limits: deps.limits,
    stopping: deps.stopping,
    effects: {
      write,
      forgetTrace: async (lotCode) => await traceCache?.invalidate(lotCode),
      login: {
        consumeThrottle: throttle.consume,
        write,
        issueToken: createTokenIssuer(keys, minutes, isRequired ? AUDIENCE : LEGACY_AUDIENCE),
        rehashes: true,
        noteLongPassword: createLongPasswordNotes(sql, log),
        onOutcome: (outcome, userId, requestId) => {
          metrics.login(outcome);
          log("info", "login", { outcome, user_id: userId, request_id: requestId });
        },
      },
      holdsBack: true,
    },
    steps: [dryRuns.step],
    isSchemaBehind: () => database.isBehind,
    metrics,
    log,
  });
  return {
    serve,
    metrics,
    [Symbol.dispose]: () => {
      database[Symbol.dispose]();
      replica?.[Symbol.dispose]();
      revocations[Symbol.dispose]();
      inlineTracer[Symbol.dispose]();
      largeTraces[Symbol.dispose]();
      timeZone[Symbol.dispose]();
      dryRuns[Symbol.dispose]();
    },
  };
}

/** All routes, in the contract's order. */
export function createRoutes(deps: RouteDeps): App {
  const app = new App();
  const { openAPIRegistry: registry } = app.router;
  registry.registerComponent("securitySchemes", "bearerAuth", {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
  });
  // Each kind of work has its own queue for connections; probes and metrics wait in none.
  const writes = { ...deps, sql: inLane(deps.sql, "writes") };
  const work = { ...deps, sql: inLane(deps.sql, "work") };
  getHealth(app);
  login(app, deps);
  logout(app, writes);
  getTraceability(app, { ...deps, sql: inLane(deps.sql, "traces") });
  createLot(app, writes);
  createQcDecision(app, writes);
  createDeepTrace(app, work);
  getDeepTrace(app, work);
  createAudit(app, work);
  listAudits(app, work);
  getAudit(app, work);
  getSigningKeys(app, deps);
  getLiveness(app);
  getReadiness(app, deps);
  getMetrics(app, deps);
  documents(app);
  startPage(app, deps);
  return app;
}
