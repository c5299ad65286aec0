/**
 * Measures deep traces with and without a replica, and how far the replica is behind meanwhile.
 *
 * @module
 */

import { connect } from "../db/connect.ts";
import { openSession } from "../db/session.ts";
import { createSessionPool } from "../db/session_pool.ts";
import type { Sql } from "../db/sql.ts";
import { insertMarkedTrace } from "../db/traces.ts";
import { HEAVY_TASKS, type TaskContext } from "../jobs/heavy_tasks.ts";
import { startApi, type TestApi } from "../testing/api.ts";
import { DEFAULT_LIMITS } from "../testing/audited_plant.ts";
import { eventually } from "../testing/eventually.ts";
import { startPair } from "../testing/standby.ts";
import { delay } from "../timing.ts";
import { fillBigPlant } from "./big_plant.ts";
import { withCosts } from "./costs.ts";
import { treeCpuSeconds } from "./process_cost.ts";
import { quantile } from "./quantile.ts";
import type { Study } from "./study.ts";

const SECONDS = 5;
const LOTS = 20_000;
/** The lots of each trace. */
const SIZE = 500;
/** The lots of a trace that a worker takes. */
const LARGE = 30_000;
/** As many deep traces are taken at a time while their clients wait. */
const CLIENTS = 4;
const WRITERS = 4;
const LAG_MS = 100;

const KINDS = ["deep", "one_hop", "large_trace", "audit"] as const;

/** `large_trace` and `audit` are a worker's. */
type Kind = typeof KINDS[number];

interface Run {
  readonly kind: Kind;
  readonly withReplica: boolean;
  readonly perSecond: number;
  readonly p50Ms: number;
  /** Processor time of the servers a request, in ms. */
  readonly primaryMs: number;
  readonly replicaMs: number;
  /** The share of deep traces that took too long to be taken while their clients wait. */
  readonly queued: number;
}

export const REPLICA: Study = {
  name: "replica",
  async run({ rounds, seconds = SECONDS, say }) {
    await using stack = new AsyncDisposableStack();
    // Synced to the disk, as in production: with a replica a trace waits for it once more.
    const pair = stack.use(await startPair({ max_connections: "100" }));
    const sql = connect({
      url: pair.primary.url,
      max: 2,
      name: "lotline-bench",
      statementTimeoutMs: 0,
    });
    stack.defer(() => sql.end({ timeout: 1 }));
    await sql.unsafe("alter system set synchronous_standby_names = ''");
    await sql`select pg_reload_conf()`;
    const { firstLots } = await fillBigPlant(sql, LOTS, SIZE);
    await fillBigPlant(sql, LARGE, LARGE);
    const databaseUrl = pair.primary.url;
    const apis = {
      without: stack.use(await startApi({ databaseUrl })),
      with: stack.use(
        await startApi({ databaseUrl, environment: { DATABASE_REPLICA_URL: pair.standby.url } }),
      ),
    };
    await eventually(
      "the replica is read",
      async () => (await apis.with.get("/readyz")).json.replica === "up",
      { seconds: 60 },
    );

    const takenByOthers: number[] = [];
    let requests = 0, queued = 0;
    const deep = async (api: TestApi) => {
      const lot_code = firstLots[requests % firstLots.length];
      const { status } = await api.post("/api/traces", {
        lot_code,
        direction: "downstream",
        // No other trace has its result.
        at_most: 1_000 + requests++,
      });
      // 202: it took longer than 200 ms, and waits for a worker that isn't there.
      if (status === 202) queued++;
      else if (status !== 200) throw new Error(`a deep trace is ${status}`);
    };
    const oneHop = async (api: TestApi) => {
      const { status } = await api.get(
        `/api/traceability/${firstLots[requests++ % firstLots.length]}`,
      );
      if (status !== 200) throw new Error(`a trace is ${status}`);
    };
    const measure = async (kind: Run["kind"], withReplica: boolean, forMs: number) => {
      const api = withReplica ? apis.with : apis.without;
      const send = kind === "deep" ? deep : oneHop;
      queued = 0;
      const replicaBefore = await treeCpuSeconds(pair.standby.pid);
      const { result: times, costs } = await withCosts(
        { serverPids: [api.process.pid], databasePid: pair.primary.pid },
        () => loop(CLIENTS, forMs, () => send(api)),
      );
      const replicaCpu = await treeCpuSeconds(pair.standby.pid) - replicaBefore;
      takenByOthers.push(Math.max(0, costs.others - replicaCpu) / costs.all);
      const run: Run = {
        kind,
        withReplica,
        perSecond: 1_000 * times.length / forMs,
        p50Ms: quantile(times, 0.5),
        primaryMs: 1_000 * costs.database / times.length,
        replicaMs: 1_000 * replicaCpu / times.length,
        queued: queued / times.length,
      };
      say(JSON.stringify(run));
      return run;
    };
    for (const withReplica of [false, true]) {
      await measure("deep", withReplica, 1_000);
      await measure("one_hop", withReplica, 1_000);
    }
    const runs: Run[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const kind of ["deep", "one_hop"] as const) {
        for (const withReplica of round % 2 === 0 ? [false, true] : [true, false]) {
          runs.push(await measure(kind, withReplica, 1_000 * seconds));
        }
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (const kind of ["large_trace", "audit"] as const) {
        for (const withReplica of [false, true]) {
          const replicaBefore = await treeCpuSeconds(pair.standby.pid);
          const started = performance.now();
          const { costs } = await withCosts(
            { serverPids: [], databasePid: pair.primary.pid },
            () => runTask(sql, pair, kind, withReplica),
          );
          const ms = performance.now() - started;
          const replicaCpu = await treeCpuSeconds(pair.standby.pid) - replicaBefore;
          const run: Run = {
            kind,
            withReplica,
            perSecond: 1_000 / ms,
            p50Ms: ms,
            primaryMs: 1_000 * costs.database,
            replicaMs: 1_000 * replicaCpu,
            queued: 0,
          };
          say(JSON.stringify(run));
          runs.push(run);
        }
      }
    }
    const readsBefore = await readsOf(apis.with);
    const { lags, writes } = await lagUnderWrites(
      sql,
      apis.with,
      1_000 * seconds,
      () => deep(apis.with),
    );
    const reads = await readsOf(apis.with);
    const share = (reads.replica - readsBefore.replica) /
      (reads.replica + reads.primary - readsBefore.replica - readsBefore.primary);
    const lag = {
      writesPerSecond: writes / seconds,
      p50Ms: quantile(lags, 0.5),
      p99Ms: quantile(lags, 0.99),
      maxMs: Math.max(...lags),
      shareReadOnReplica: share,
    };
    return {
      text: `${rounds} rounds of ${seconds} s, medians; deep traces of ${SIZE} lots, ${CLIENTS} ` +
        `clients\n\n${tableOf(runs)}\n\nWith ${WRITERS} writers: ${JSON.stringify(lag)}`,
      figures: { rounds, seconds, runs, lag },
      takenByOthers,
    };
  },
};

/** Sends one request after the other from each client; returns how long each took, in ms. */
async function loop(clients: number, forMs: number, send: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  const until = performance.now() + forMs;
  await Promise.all(Array.from({ length: clients }, async () => {
    while (performance.now() < until) {
      const started = performance.now();
      await send();
      times.push(performance.now() - started);
    }
  }));
  return times;
}

/** Does what a worker's thread does for a job, whose result is never used. */
async function runTask(
  sql: Sql,
  { primary, standby }: Awaited<ReturnType<typeof startPair>>,
  kind: "large_trace" | "audit",
  withReplica: boolean,
): Promise<void> {
  const sessionsOn = ({ url }: typeof primary) =>
    createSessionPool((onEnd) => openSession(url, { name: "lotline-bench", onEnd }), 1_000, url);
  await using sessions = sessionsOn(primary);
  await using replicaSessions = sessionsOn(standby);
  const request = {
    id: crypto.randomUUID(),
    lotCode: `C${LARGE}-0-0`,
    direction: "downstream",
    maxDepth: null,
    atMost: 100_000,
  } as const;
  const inserted = await insertMarkedTrace(sql, request, null);
  if (inserted === undefined) throw new Error("there is no such lot");
  const { lotId, mark } = inserted;
  const context: TaskContext = {
    sessions,
    replica: withReplica ? { sessions: replicaSessions, mark } : undefined,
    progress: () => {},
    checkpoint: () => {},
  };
  const attemptId = crypto.randomUUID();
  if (kind === "audit") await HEAVY_TASKS.audit({ attemptId, limits: DEFAULT_LIMITS }, context);
  else await HEAVY_TASKS.takeTrace({ trace: { ...request, lotId }, run: attemptId }, context);
}

async function readsOf(api: TestApi): Promise<{ replica: number; primary: number }> {
  const { text } = await api.get("/metrics");
  const of = (from: string) =>
    Number(new RegExp(`replica_reads_total{from="${from}"} (\\d+)`).exec(text)?.[1] ?? 0);
  return { replica: of("replica"), primary: of("primary") };
}

/** Writes lots and takes deep traces; returns the replica's lag as the primary tells it, in ms. */
async function lagUnderWrites(sql: Sql, api: TestApi, forMs: number, deep: () => Promise<void>) {
  const lags: number[] = [];
  const until = performance.now() + forMs;
  const sample = async () => {
    while (performance.now() < until) {
      const [row] = await sql<{ ms: number }[]>`
        select coalesce(extract(epoch from replay_lag) * 1000, 0)::float8 as ms
        from pg_stat_replication`;
      lags.push(row?.ms ?? NaN);
      await delay(LAG_MS);
    }
  };
  const write = async () => {
    const lot_code = `W-${crypto.randomUUID()}`;
    const { status } = await api.post("/api/lots", { lot_code, lot_type: "RAW" });
    if (status !== 201) throw new Error(`a lot is ${status}`);
  };
  const [written] = await Promise.all([
    loop(WRITERS, forMs, write),
    loop(1, forMs, deep),
    sample(),
  ]);
  return { lags, writes: written.length };
}

function tableOf(runs: readonly Run[]): string {
  const rows = KINDS.flatMap((kind) =>
    [false, true].map((withReplica) => {
      const own = runs.filter((run) => run.kind === kind && run.withReplica === withReplica);
      const median = (figure: Exclude<keyof Run, "kind" | "withReplica">) =>
        quantile(own.map((run) => run[figure]), 0.5).toFixed(2);
      return `| ${kind} | ${withReplica ? "yes" : "no"} | ${median("perSecond")} | ` +
        `${median("p50Ms")} | ${median("primaryMs")} | ${median("replicaMs")} | ${
          median("queued")
        } |`;
    })
  );
  return [
    "| request | replica | requests/s | p50 ms | primary CPU ms | replica CPU ms | queued |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ...rows,
  ].join("\n");
}
