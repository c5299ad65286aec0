import { ok } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { type CollectedSpan, startCollector } from "../../testing/otel_collector.ts";
import { ownValkey } from "../../testing/own_valkey.ts";
import { startPgBouncer } from "../../testing/pgbouncer.ts";
import { startWorker } from "../../testing/worker.ts";
import { setMode } from "../routes/routes_table.ts";
import { DRY_RUN_SECRET, startGateway } from "./gateway.ts";
import { startLegacyProcess } from "./legacy_process.ts";

/** Names a span with its process. */
export const about = ({ service, name }: CollectedSpan): string => `${service}: ${name}`;

/**
 * Gateway, API and worker that send their spans to an OpenTelemetry Collector, as in production, and an
 * old server that sends none. QC decisions go to Lotline; lots and their traces are shadowed.
 *
 * @throws {NeedsGo} on a machine without Go
 */
export async function startTracedSystem() {
  await using stack = new AsyncDisposableStack();
  const collector = stack.use(await startCollector());
  const database = stack.use(await freshDatabase());
  const { sql, url: databaseUrl } = database;
  await resetToSeed(sql, await loadSeed());
  // In transaction mode: it keeps no setting of a client from one transaction to the next.
  const pooler = stack.use(await startPgBouncer(databaseUrl));
  const VALKEY_URL = stack.use(await ownValkey()).server.url;
  const api = stack.use(
    await startApi({
      databaseUrl: pooler.through(databaseUrl),
      environment: { VALKEY_URL, DRY_RUN_SECRET, ...collector.environment("lotline-api") },
    }),
  );
  const worker = stack.use(
    await startWorker({
      databaseUrl,
      environment: { VALKEY_URL, LOG_LEVEL: "info", ...collector.environment("lotline-worker") },
    }),
  );
  const legacy = stack.use(await startLegacyProcess({ databaseUrl }));
  /** What the old server has received, one entry a request. */
  const receivedByLegacy: (string | null)[] = [];
  const beforeLegacy = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    receivedByLegacy.push(request.headers.get("traceparent"));
    const { pathname, search } = new URL(request.url);
    return fetch(legacy.url + pathname + search, {
      method: request.method,
      headers: request.headers,
      ...request.body && { body: request.body },
    });
  });
  stack.defer(() => beforeLegacy.shutdown());
  for (const operation of ["createLot", "getTraceability"] as const) {
    await setMode(sql, { operation, mode: { name: "shadow" }, who: "test", why: "traces" });
  }
  await setMode(sql, {
    operation: "createQcDecision",
    mode: { name: "service" },
    who: "test",
    why: "traces",
  });
  const gateway = stack.use(
    await startGateway({
      databaseUrl,
      legacyUrl: `http://127.0.0.1:${beforeLegacy.addr.port}`,
      serviceUrl: api.url,
      environment: collector.environment("lotline-gateway"),
    }),
  );
  await eventually(
    "the gateway knows the routes",
    async () => (await gateway.modes()).createQcDecision === "service",
  );

  /** Sends a request through the gateway as the client's span of a new trace. */
  const send = async (path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const traceId = crypto.randomUUID().replaceAll("-", "");
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
    const response = await fetch(gateway.url + path, {
      ...body !== undefined && { method: "POST", body: JSON.stringify(body) },
      headers: { "content-type": "application/json", traceparent, ...headers },
    });
    await response.body?.cancel();
    return { traceId, traceparent, status: response.status, headers: response.headers };
  };
  /** The spans of a trace once these are among them. */
  const traceWith = async (traceId: string, names: readonly string[]) => {
    let spans: readonly CollectedSpan[] = [];
    await eventually(`the trace has ${names}`, async () => {
      spans = (await collector.spans()).filter((span) => span.traceId === traceId);
      return names.every((name) => spans.some((span) => about(span) === name));
    }, { seconds: 60 }).catch((error) => {
      throw new Error(`${error.message}; it has ${spans.map(about)}`);
    });
    const named = (name: string) => {
      const found = spans.find((span) => about(span) === name);
      ok(found, name);
      return found;
    };
    /** From a span up to the client's, which no collector has. */
    const pathOf = (span: CollectedSpan): string[] => {
      const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
      return [about(span), ...parent === undefined ? [span.parentSpanId] : pathOf(parent)];
    };
    return { spans, named, pathOf };
  };
  const owned = stack.move();
  return {
    sql,
    databaseUrl,
    collector,
    api,
    worker,
    gateway,
    receivedByLegacy,
    send,
    traceWith,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
