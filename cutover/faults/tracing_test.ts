import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { NeedsGo } from "../../dev/go_program.ts";
import { startApi } from "../../testing/api.ts";
import { eventually } from "../../testing/eventually.ts";
import type { LineReader } from "../../testing/lines.ts";
import { openTransaction } from "../../testing/open_transaction.ts";
import { about, startTracedSystem } from "../testing/traced_system.ts";

type TracedSystem = Awaited<ReturnType<typeof startTracedSystem>>;

const system = await startTracedSystem().catch((thrown) => {
  if (!(thrown instanceof NeedsGo)) throw thrown;
  console.log(thrown.message);
});
Deno.test.afterAll(async () => await system?.[Symbol.asyncDispose]());

/** A test with the running system; it is ignored on a machine without Go. */
function test(name: string, run: (system: TracedSystem) => Promise<void>): void {
  Deno.test({
    name,
    ignore: system === undefined,
    fn: async () => {
      if (system !== undefined) await run(system);
    },
  });
}

const linesOf = (log: LineReader, traceId: string): string[] =>
  log.lines.map((line) => JSON.parse(line)).filter((line) => line.trace_id === traceId)
    .map(({ event }) => event);

test("a trace goes from the client through gateway, API and PostgreSQL to the job of a write", async ({ sql, api, worker, gateway, send, traceWith }) => {
  const { traceId, status } = await (async () => {
    await using _lock = await openTransaction(
      sql,
      "lock table lot_genealogy in access exclusive mode",
    );
    return await send("/api/traces", { lot_code: "RAW-BEEF-001", direction: "upstream" });
  })();
  strictEqual(status, 202);
  const job = "lotline-worker: job deep_trace";
  const { named, pathOf } = await traceWith(traceId, [
    job,
    "lotline-api: INSERT lotline.jobs",
    "lotline-gateway: POST service",
    "lotline-gateway: POST createDeepTrace",
  ]);
  const request = [
    "lotline-api: POST /api/traces",
    "lotline-gateway: POST service",
    "lotline-gateway: POST createDeepTrace",
    "00f067aa0ba902b7",
  ];
  deepStrictEqual(pathOf(named(job)), [job, ...request]);
  const insert = "lotline-api: INSERT lotline.jobs";
  deepStrictEqual(pathOf(named(insert)), [insert, ...request]);
  strictEqual(named(job).attributes["lotline.job.outcome"], "finished");
  strictEqual(named("lotline-api: POST /api/traces").attributes["lotline.dry_run"], false);
  for (
    const [log, event] of [
      [gateway.log, "request"],
      [api.log, "request"],
      [worker.log, "job_finished"],
    ] as const
  ) {
    await eventually(`${event} has the trace's id`, () => linesOf(log, traceId).includes(event));
  }
});

test("a change carries its trace through the outbox to the worker, which has Valkey in it", async ({ send, traceWith }) => {
  const { traceId, status } = await send("/api/qc-decisions", { decision: "HOLD" });
  strictEqual(status, 201);
  const outbox = "lotline-worker: outbox";
  const { named, pathOf, spans } = await traceWith(traceId, [
    outbox,
    "lotline-api: INSERT qc_decisions",
    "lotline-worker: DELETE lotline.outbox",
    "lotline-gateway: POST service",
    "lotline-gateway: POST createQcDecision",
  ]);
  deepStrictEqual(pathOf(named(outbox)), [
    outbox,
    "lotline-api: POST /api/qc-decisions",
    "lotline-gateway: POST service",
    "lotline-gateway: POST createQcDecision",
    "00f067aa0ba902b7",
  ]);
  ok(
    spans.some((span) => about(span).startsWith("lotline-worker: valkey ")),
    spans.map(about).join(),
  );
});

test("writes that share a statement are stored once each, and each is named by its change", async ({ sql, collector, send }) => {
  const notes = "written at once";
  const writes = await Promise.all(
    Array.from({ length: 12 }, () => send("/api/qc-decisions", { decision: "PASS", notes })),
  );
  deepStrictEqual(new Set(writes.map(({ status }) => status)), new Set([201]));
  const stored = await sql`select from qc_decisions where notes = ${notes}`;
  strictEqual(stored.count, writes.length);
  await eventually("each write is a parent or a link of a span of the outbox", async () => {
    const spans = (await collector.spans()).filter(({ name }) => name === "outbox");
    const named = new Set(
      spans.flatMap(({ traceId, links }) => [traceId, ...links.map((link) => link.traceId)]),
    );
    return writes.every(({ traceId }) => named.has(traceId));
  }, { seconds: 60 });
});

test("the spans of shadowed reads and of dry runs are marked, in the client's trace", async ({ send, traceWith }) => {
  const read = await send("/api/traceability/RAW-BEEF-001");
  const shadow = "lotline-gateway: shadow getTraceability";
  const shadowed = await traceWith(read.traceId, [
    shadow,
    "lotline-gateway: GET legacy",
    "lotline-api: GET /api/traceability/:lotCode",
  ]);
  const readByApi = shadowed.named("lotline-api: GET /api/traceability/:lotCode");
  deepStrictEqual([
    readByApi.attributes["lotline.shadow"],
    readByApi.attributes["lotline.dry_run"],
    shadowed.named(shadow).attributes["lotline.shadow"],
  ], [true, false, true]);

  const written = await send("/api/lots", { lot_code: "TRACED-1" });
  strictEqual(written.status, 201);
  const dryRun = "lotline-gateway: dry run createLot";
  const { named, pathOf } = await traceWith(written.traceId, [
    dryRun,
    "lotline-api: POST /api/lots",
    "lotline-gateway: POST createLot",
  ]);
  const run = named("lotline-api: POST /api/lots");
  deepStrictEqual(pathOf(run), [
    "lotline-api: POST /api/lots",
    dryRun,
    "lotline-gateway: POST createLot",
    "00f067aa0ba902b7",
  ]);
  deepStrictEqual([run, named(dryRun)].map((span) => span.attributes["lotline.dry_run"]), [
    true,
    true,
  ]);
});

test("the old server gets the client's own traceparent, and none if the client sent none", async ({ gateway, receivedByLegacy, send }) => {
  receivedByLegacy.length = 0;
  const { traceparent } = await send("/api/health");
  await (await fetch(`${gateway.url}/api/health`)).body?.cancel();
  deepStrictEqual(receivedByLegacy, [traceparent, null]);
});

test("a malformed traceparent and a long baggage are ignored, and the response tells nothing", async ({ api, gateway }) => {
  const headers = {
    traceparent: `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    tracestate: `a=${"b".repeat(2_000)}`,
    baggage: `a=${"b".repeat(8_000)}`,
  };
  for (const url of [gateway.url, api.url]) {
    const response = await fetch(`${url}/api/qc-decisions`, {
      method: "POST",
      body: JSON.stringify({ decision: "PASS" }),
      headers: { "content-type": "application/json", ...headers },
    });
    strictEqual(response.status, 201, await response.text());
    deepStrictEqual([...response.headers.keys()].filter((name) => /trace|baggage/.test(name)), []);
  }
  await eventually(
    "the gateway has logged a trace of its own",
    () =>
      gateway.log.lines.map((line) => JSON.parse(line)).some(({ operation, trace_id }) =>
        operation === "createQcDecision" && /^[0-9a-f]{32}$/.test(trace_id) &&
        !/^0+$/.test(trace_id)
      ),
  );
});

test("spans hold no path, query, body or token of a client", async ({ collector, send, traceWith }) => {
  const { traceId } = await send(
    "/api/traceability/someone@private.example?q=private-query",
    undefined,
    {
      authorization: "Bearer private-token",
    },
  );
  await traceWith(traceId, ["lotline-gateway: GET getTraceability"]);
  const login = await send("/api/login", {
    email: "private@person.example",
    password: "secret!",
  });
  await traceWith(login.traceId, ["lotline-gateway: POST login"]);
  const text = await collector.text();
  for (const word of ["private", "secret!", "person.example"]) {
    strictEqual(text.includes(word), false, word);
  }
  match(text, /getTraceability/);
});

test("a collector that is away disturbs no request", async ({ databaseUrl, collector }) => {
  await using alone = await startApi({
    databaseUrl,
    environment: {
      ...collector.environment("lotline-api"),
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9",
    },
  });
  for (let request = 0; request < 20; request++) {
    strictEqual((await alone.get("/api/health")).status, 200);
  }
});
