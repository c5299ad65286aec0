import {
  deepStrictEqual,
  doesNotMatch,
  match,
  notStrictEqual,
  ok,
  strictEqual,
} from "node:assert/strict";
import { insertFindings } from "../audit/findings.ts";
import { runAudit } from "../audit/run_audit.ts";
import { finishAudit } from "../db/audits.ts";
import { withPooler } from "../db/address.ts";
import { connect } from "../db/connect.ts";
import type { ReplicaMark } from "../db/replica_marks.ts";
import { openSession } from "../db/session.ts";
import { createSessionPool, type SessionPool } from "../db/session_pool.ts";
import { type Direction, insertMarkedTrace } from "../db/traces.ts";
import { HEAVY_TASKS, type TaskContext } from "../jobs/heavy_tasks.ts";
import { startApi, type TestResponse } from "../testing/api.ts";
import { addToPlant, buildPlant, DEFAULT_LIMITS } from "../testing/audited_plant.ts";
import { about, examine } from "../testing/doctor.ts";
import { eventually } from "../testing/eventually.ts";
import { insertChain, insertLinks, insertLots, insertTree } from "../testing/genealogy.ts";
import { lockWaits } from "../testing/lock_waits.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { startPgBouncer } from "../testing/pgbouncer.ts";
import { promote, signalCluster, startPair } from "../testing/standby.ts";
import { startWorker } from "../testing/worker.ts";

/** More lots than a trace has that is taken while its client waits. */
const WIDTH = 71;
const LARGE = 1 + WIDTH + WIDTH * WIDTH;

await using stack = new AsyncDisposableStack();
const pair = stack.use(await startPair());
const [sql, standbySql] = [pair.primary, pair.standby].map(({ url }) =>
  connect({ url, max: 4, name: "lotline-test", statementTimeoutMs: 0 })
) as [ReturnType<typeof connect>, ReturnType<typeof connect>];
stack.defer(async () => {
  await Promise.all([sql.end({ timeout: 1 }), standbySql.end({ timeout: 1 })]);
});
await sql.unsafe("alter system set synchronous_standby_names = ''");
await sql`select pg_reload_conf()`;
/** How long the replay waits for a read that is in its way, in ms. */
async function setPatience(ms: number): Promise<void> {
  await standbySql.unsafe(`alter system set max_standby_streaming_delay = ${ms}`);
  await standbySql`select pg_reload_conf()`;
}
await setPatience(60_000);
const environment = { DATABASE_REPLICA_URL: pair.standby.url };
const databaseUrl = pair.primary.url;
const api = stack.use(await startApi({ databaseUrl, environment }));
const worker = stack.use(await startWorker({ databaseUrl, environment }));
const parts = stack.move();
Deno.test.afterAll(() => parts.disposeAsync());

const readiness = (problem: string | undefined) =>
  eventually(`the replica's problem is ${problem ?? "none"}`, async () => {
    const { status, json } = await api.get("/readyz");
    strictEqual(status, 200);
    return json.replica_problem === problem &&
      json.replica === (problem === undefined ? "up" : "not_read");
  }, { seconds: 60 });

/** How many traces were read where, while their clients waited. */
async function reads(from: "replica" | "primary"): Promise<number> {
  const { text } = await api.get("/metrics");
  const [, count] = new RegExp(`replica_reads_total{from="${from}"} (\\d+)`).exec(text) ?? [];
  return Number(count ?? 0);
}

/** Takes traces until one is read on the replica, which may be late on a busy machine. */
async function readsReplica(lotCode: string): Promise<void> {
  const before = await reads("replica");
  await eventually("a trace is read on the replica", async () => {
    await traced(lotCode);
    return await reads("replica") > before;
  }, { seconds: 60 });
}

let requests = 0;

/** A trace that no other request has taken, when it is done. */
async function traced(lotCode: string): Promise<TestResponse> {
  const response = await trace(lotCode);
  // On a busy machine a small one may become a job.
  if (response.status === 202) return await done(response.json.id);
  strictEqual(response.status, 200);
  return response;
}

const trace = (lot_code: string): Promise<TestResponse> =>
  api.post("/api/traces", { lot_code, direction: "downstream", at_most: 50_000 + requests++ });

const codesOf = ({ json }: TestResponse): string[] =>
  json.result.lots.map(({ lot_code }: { lot_code: string }) => lot_code);

async function done(id: string): Promise<TestResponse> {
  let response: TestResponse | undefined;
  await eventually("the trace is done", async () => {
    response = await api.get(`/api/traces/${id}`);
    return response.json.state === "done";
  }, { seconds: 60 });
  if (response === undefined) throw new Error("the trace was not read");
  return response;
}

/** Whether the worker has read the last trace on the replica: its rows have an id of their own then. */
async function wasReadOnReplica(id: string): Promise<boolean> {
  const [row] = await sql<{ isOwn: boolean }[]>`
    select run <> token as "isOwn" from lotline.traces join lotline.jobs on jobs.id = job_id
    where traces.id = ${id}`;
  if (row === undefined) throw new Error("the trace has no job");
  return row.isOwn;
}

Deno.test("a deep trace is read on the replica and stored on the primary", async () => {
  await insertChain(sql, "FIRST", 5);
  await readiness(undefined);
  const response = await traced("FIRST-0");
  deepStrictEqual(codesOf(response), [0, 1, 2, 3, 4].map((place) => `FIRST-${place}`));
  await readsReplica("FIRST-0");
  const sessions = await standbySql`
    select from pg_stat_activity where application_name = 'lotline-traces'`;
  ok(sessions.length > 0);
  const again = await api.get(`/api/traces/${response.json.id}`);
  deepStrictEqual(again.json, response.json);
  ok(response.json.as_of >= response.json.created_at);
  const { text } = await api.get("/metrics");
  match(text, /^lotline_replica_usable 1$/m);
  match(text, /^lotline_replica_lag_seconds [\d.]+$/m);
  const findings = await examine({ DATABASE_URL: databaseUrl, ...environment });
  match(about("replica", findings)[1], /hot_standby_feedback/);
});

Deno.test("a trace of a client that has just written shows what it wrote", async () => {
  for (let number = 0; number < 20; number++) {
    const lot_code = `OWN-${number}`;
    strictEqual((await api.post("/api/lots", { lot_code, lot_type: "RAW" })).status, 201);
    deepStrictEqual(codesOf(await traced(lot_code)), [lot_code]);
  }
});

const sessionsOn = (url: string) =>
  createSessionPool(
    (onEnd) => openSession(url, { name: "lotline-test-session", onEnd }),
    1_000,
    url,
  );

Deno.test("a replica gives the same result as the primary, row by row, also through PgBouncer", async () => {
  await using bouncer = await startPgBouncer(pair.standby.url, { release: "trixie" });
  const pooledUrl = withPooler(bouncer.through(pair.standby.url), "auto");
  await using sessions = sessionsOn(databaseUrl);
  await using replicaSessions = sessionsOn(pair.standby.url);
  await using pooledSessions = sessionsOn(pooledUrl);
  const ids = await insertTree(sql, "SAME", 60);
  const [first, second = null, last] = [ids[0] ?? null, ids[1], ids.at(-1) ?? null];
  // A cycle, a link to itself, links without an end, and codes that JSON escapes.
  await insertLinks(sql, [[last, first], [second, second], [first, null], [null, first]]);
  const [odd = ""] = await insertLots(sql, [{ lot_code: 'SAME "\\é', weight_kg: null }]);
  await insertLinks(sql, [[first, odd], [odd, second, "0.10"]]);

  const take = async (direction: Direction, atMost: number, replica?: SessionPool) => {
    const request = { lotCode: "SAME-0", direction, maxDepth: null, atMost };
    const id = crypto.randomUUID();
    const inserted = await insertMarkedTrace(sql, { ...request, id }, null);
    if (inserted === undefined) throw new Error("there is no such lot");
    const { lotId, mark } = inserted;
    const context: TaskContext = {
      sessions,
      replica: replica && { sessions: replica, mark },
      progress: () => {},
      checkpoint: () => {},
    };
    const { summary, attemptId } = await HEAVY_TASKS.takeTrace(
      { trace: { ...request, id, lotId }, run: crypto.randomUUID() },
      context,
    );
    const chunks = await sql`
      select number, kind, first_line, lines, body, lot_ids
      from lotline.trace_chunks where run = ${attemptId} order by number`;
    return { summary, chunks: [...chunks] };
  };
  for (const direction of ["upstream", "downstream", "both"] as const) {
    for (const atMost of [100, 100_000]) {
      const here = await take(direction, atMost);
      ok(here.summary.lot_count > 1 && here.chunks.length > 1);
      deepStrictEqual(await take(direction, atMost, replicaSessions), here);
      deepStrictEqual(await take(direction, atMost, pooledSessions), here);
    }
  }
});

Deno.test("an audit of a replica has the same findings, also compared with the last one", async () => {
  await buildPlant(sql, {
    lots: {
      R: { kg: null },
      A: { type: "MIX" },
      B: { type: "MIX" },
      C: { type: "MIX", kg: "-1" },
      F: { type: "FG" },
    },
    links: [["A", "B"], ["B", "C"], ["C", "A"], ["A", "A"], ["R", null], ["R", "F", "NaN"]],
    decisions: [["F", "FAIL", "2026-01-02", 1]],
  });
  const audit = async (onReplica: boolean) => {
    const run = crypto.randomUUID();
    const mark = await markOf("R");
    await using session = openSession(onReplica ? pair.standby.url : databaseUrl, {
      name: "lotline-test",
    });
    const result = await runAudit(session, {
      attemptId: run,
      limits: DEFAULT_LIMITS,
      signal: new AbortController().signal,
      progress: () => {},
      ...onReplica && {
        replica: {
          mark,
          waitMs: 10_000,
          sink: (findings: string) => insertFindings(sql, run, findings),
        },
      },
    });
    const rows = await sql`
      select kind, subject, severity, standing, lot_ids, lot_codes, numbers
      from lotline.audit_findings where run = ${run} order by kind, subject`;
    return { result, found: { summary: result.summary, rows: [...rows] } };
  };
  const both = async () => {
    const [there, here] = [await audit(true), await audit(false)];
    deepStrictEqual(there.found, here.found);
    return here;
  };
  const before = await both();
  ok(before.found.rows.some(({ kind }) => kind === "cycle"));
  const id = crypto.randomUUID();
  await sql`insert into lotline.audits (id, job_id) values (${id}, ${crypto.randomUUID()})`;
  await finishAudit(sql, id, before.result);
  await sql`update lots set weight_kg = 5 where lot_code = 'R'`;
  await addToPlant(sql, { lots: { N: { kg: "NaN" } } });
  const { found } = await both();
  const standings = new Set(found.rows.map(({ standing }) => standing));
  deepStrictEqual(standings, new Set(["still_there", "gone", "new"]));
});

/** The mark of a trace of this lot that begins now. */
async function markOf(lotCode: string): Promise<ReplicaMark> {
  const request = { id: crypto.randomUUID(), lotCode, maxDepth: null, atMost: 1 };
  const inserted = await insertMarkedTrace(sql, { ...request, direction: "both" }, null);
  if (inserted === undefined) throw new Error("there is no such lot");
  return inserted.mark;
}

Deno.test("while the replica's replay is paused, traces come from the primary, and no stale one is kept", async () => {
  const [first = ""] = await insertChain(sql, "PAUSED", 2);
  await readiness(undefined);
  await standbySql`select pg_wal_replay_pause()`;
  const before = await reads("primary");
  const [added = ""] = await insertLots(sql, [{ lot_code: "PAUSED-NEW" }]);
  await insertLinks(sql, [[first, added]]);
  const codes = ["PAUSED-0", "PAUSED-1", "PAUSED-NEW"];
  const taken = await traced("PAUSED-0");
  deepStrictEqual(codesOf(taken).toSorted(), codes);
  ok(await reads("primary") > before);
  const hop = await api.get("/api/traceability/PAUSED-0");
  strictEqual(hop.json.children.length, 2);
  await standbySql`select pg_wal_replay_resume()`;
  await readiness(undefined);
  await insertLinks(sql, [[added, first]]);
  await eventually(
    "the trace is out of date",
    async () => (await api.get(`/api/traces/${taken.json.id}`)).json.out_of_date,
  );
  strictEqual((await traced("PAUSED-0")).json.result.link_count, 3);
});

/** Has the worker read a large trace, and returns whether it read it on the replica. */
async function workerReadsReplica(): Promise<boolean> {
  const { status, json } = await trace("LARGE-0");
  strictEqual(status, 202);
  strictEqual((await done(json.id)).json.result.lot_count, LARGE);
  return await wasReadOnReplica(json.id);
}

/** A large trace that the worker is reading on the replica; it waits to store its first rows. */
async function heldRead() {
  // It doesn't read there for a second after each failure.
  await eventually("the worker reads the replica", workerReadsReplica, { seconds: 60 });
  const waiting = await openTransaction(sql, "lock table lotline.trace_chunks in exclusive mode");
  const { json } = await trace("LARGE-0");
  await eventually("the worker waits to store rows", async () => await lockWaits(sql) > 0);
  await eventually("it does so in a transaction on the replica", async () => {
    const reading = await standbySql`
      select from pg_stat_activity
      where application_name = 'lotline-job' and state like 'idle in transaction%'`;
    return reading.length === 1;
  });
  return { id: json.id, release: () => waiting.commit() };
}

Deno.test("the worker reads a large trace and an audit on the replica", async () => {
  await insertTree(sql, "LARGE", WIDTH);
  await eventually("the worker reads the replica", workerReadsReplica, { seconds: 60 });
  const { json: audit } = await api.post("/api/audits", {});
  await eventually(
    "the audit is done",
    async () => (await api.get(`/api/audits/${audit.id}`)).json.state === "done",
    { seconds: 60 },
  );
  const [row] = await sql<{ isOwn: boolean; isLater: boolean }[]>`
    select run <> token as "isOwn", as_of >= audits.created_at as "isLater"
    from lotline.audits join lotline.jobs on jobs.id = job_id where audits.id = ${audit.id}`;
  deepStrictEqual(row, { isOwn: true, isLater: true });
});

Deno.test("a read that a conflict with recovery ends is done on the primary, once", async () => {
  const { id, release } = await heldRead();
  await setPatience(0);
  await (await openTransaction(sql, "lock table lot_genealogy")).commit();
  await eventually("the replica has ended the read", async () => {
    const [row] = await standbySql<{ conflicts: string }[]>`
      select conflicts from pg_stat_database where datname = current_database()`;
    return Number(row?.conflicts) > 0;
  }, { seconds: 60 });
  await setPatience(60_000);
  await release();
  strictEqual((await done(id)).json.result.lot_count, LARGE);
  strictEqual(await wasReadOnReplica(id), false);
  match(worker.log.lines.join("\n"), /"event":"replica_read_failed","read":"takeTrace"/);
});

Deno.test("a replica that falls silent in the middle of a read is left", async () => {
  const { id, release } = await heldRead();
  await signalCluster(pair.standby, "SIGSTOP");
  try {
    await release();
    await traced("PAUSED-0");
    await readiness("silent");
    strictEqual((await done(id)).json.result.lot_count, LARGE);
    strictEqual(await wasReadOnReplica(id), false);
    match(worker.log.lines.join("\n"), /"read":"takeTrace"[^\n]*ReplicaAwayError/);
  } finally {
    await signalCluster(pair.standby, "SIGCONT");
  }
  await readiness(undefined);
});

Deno.test("without the replica nothing fails, and it is read again when it is back", async () => {
  await pair.standby.kill();
  for (let number = 0; number < 5; number++) await traced("PAUSED-0");
  await readiness("unreachable");
  const { text } = await api.get("/metrics");
  match(text, /^lotline_replica_usable 0$/m);
  // Nobody knows it then: a 0 would say that there is none.
  doesNotMatch(text, /^lotline_replica_lag_/m);
  const { json } = await trace("LARGE-0");
  strictEqual((await done(json.id)).json.result.lot_count, LARGE);
  const findings = await examine({ DATABASE_URL: databaseUrl, ...environment });
  strictEqual(about("replica", findings)[0], "warning");
  await pair.standby.start();
  await readiness(undefined);
  await readsReplica("PAUSED-0");
  for (const event of ["replica_down", "replica_up"]) {
    await api.log.find((line) => line.includes(`"event":"${event}"`));
  }
});

Deno.test("a replica that was promoted is not read: it has a history of its own", async () => {
  await promote(pair.standby);
  const [lot = ""] = await insertLots(sql, [{ lot_code: "AFTER" }]);
  notStrictEqual(lot, "");
  deepStrictEqual(codesOf(await traced("AFTER")), ["AFTER"]);
  await readiness("not_standby");
  const findings = await examine({ DATABASE_URL: databaseUrl, ...environment });
  match(about("replica", findings)[1], /no standby/);
  await traced("AFTER");
});
