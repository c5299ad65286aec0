import { createApi } from "./app.ts";
import { KeyFileError } from "./auth/key_file.ts";
import { signingKeyMetrics } from "./auth/key_metrics.ts";
import { watchSigningKeys } from "./auth/watched_keys.ts";
import { serviceMetrics } from "./cache/service_metrics.ts";
import { connectValkey } from "./cache/valkey.ts";
import { ApiSettings, type Config, ConfigError, readSettings } from "./config.ts";
import { logAddress } from "./db/address_log.ts";
import { connect } from "./db/connect.ts";
import { followIdentity } from "./db/identity.ts";
import { noteProcess } from "./db/processes.ts";
import { createWorkGauges } from "./db/work_gauges.ts";
import { createLog } from "./log.ts";
import { ListenError, listening } from "./listen_error.ts";
import { answerHelp } from "./task_help.ts";
import { serveMetrics } from "./telemetry/metrics_server.ts";
import { endOnUncaught } from "./uncaught_errors.ts";
import { delay } from "./timing.ts";

const BODY_DEADLINE_MS = 10_000;
const MAX_REQUESTS_IN_FLIGHT = 1_000;
/** Accepted requests may take this long to finish after SIGTERM, in ms. */
const GRACE_MS = 15_000;
/**
 * A later signal ends the drain. One within this time, in ms, may be the first one once more: `deno task`
 * passes on what a terminal or systemd has sent to all processes.
 */
const ECHO_MS = 1_000;

answerHelp({
  task: "start",
  settings: [ApiSettings],
  exit: "0 stopped by a signal; 1 it could not start, or not stop in time",
});
try {
  await run(readSettings(ApiSettings, Deno.env.toObject()));
} catch (error) {
  const hasSentence = error instanceof ConfigError ||
    error instanceof KeyFileError ||
    error instanceof ListenError;
  if (!hasSentence) throw error;
  console.error(error.message);
  Deno.exit(1);
}

async function run(config: Config): Promise<void> {
  const { log, flush } = createLog(config.LOG_LEVEL);
  endOnUncaught(log);
  logAddress(config.DATABASE_URL, log);
  const keys = await watchSigningKeys(config.JWT_KEYS_FILE, log);
  const sql = connect({
    url: config.DATABASE_URL,
    max: config.DATABASE_POOL_MAX,
    name: "lotline-api",
  });
  const noted = noteProcess({
    sql,
    url: config.DATABASE_URL,
    kind: "api",
    connections: config.DATABASE_POOL_MAX,
    timeZone: config.TIME_ZONE,
    log,
  });
  const identity = followIdentity({ sql, log });
  const valkey = config.VALKEY_URL === undefined
    ? undefined
    : connectValkey(config.VALKEY_URL, log, {
      caFile: config.VALKEY_CA_FILE,
      database: identity,
    });
  const limits = {
    bytes: config.BODY_LIMIT,
    deadlineMs: BODY_DEADLINE_MS,
    inFlight: MAX_REQUESTS_IN_FLIGHT,
  };
  const [stopping, hurry] = [new AbortController(), new AbortController()];
  const api = createApi({
    config,
    sql,
    keys,
    limits,
    log,
    valkey,
    stopping: stopping.signal,
  });

  const { HOST: hostname, PORT: port, METRICS_PORT: metricsPort } = config;
  const metricsServer = metricsPort === undefined ? undefined : serveMetrics({
    hostname: config.METRICS_HOST,
    port: metricsPort,
    sources: [
      { name: "api", text: api.metrics.text },
      { name: "requests", text: api.metrics.requests.text },
      { name: "work", text: createWorkGauges({ sql, log, isWhole: true }) },
      signingKeyMetrics(config.JWT_KEYS_FILE),
      ...serviceMetrics("api", {
        databaseUrl: config.DATABASE_URL,
        replicaUrl: config.DATABASE_REPLICA_URL,
        noted,
        valkey,
        config,
      }),
    ],
    log,
  });
  const server = listening(
    { hostname, port, setting: "PORT" },
    () =>
      Deno.serve(
        {
          hostname,
          port,
          reusePort: config.REUSE_PORT,
          onListen: ({ hostname, port }) => log("info", "listening", { hostname, port }),
        },
        (request, { remoteAddr: { hostname, port } }) => api.serve(request, hostname, port),
      ),
  );

  let isEcho = true;
  const stop = (signal: Deno.Signal) => async () => {
    if (stopping.signal.aborted) {
      if (!isEcho) hurry.abort();
      return;
    }
    stopping.abort();
    setTimeout(() => isEcho = false, ECHO_MS);
    log("info", "stopping", { signal });
    if (signal === "SIGTERM") {
      await delay(config.DRAIN_SECONDS * 1_000, hurry.signal);
    }
    const late = setTimeout(() => {
      log("error", "stop_timed_out", { grace_ms: GRACE_MS });
      Deno.exit(1);
    }, GRACE_MS);
    await server.shutdown();
    await metricsServer?.[Symbol.asyncDispose]();
    api[Symbol.dispose]();
    keys[Symbol.dispose]();
    noted[Symbol.dispose]();
    identity[Symbol.dispose]();
    await sql.end({ timeout: 1 });
    valkey?.close();
    clearTimeout(late);
    log("info", "stopped");
    flush();
    Deno.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, stop(signal));
  }
  await server.finished;
}
