/**
 * Ways to trace a lot downstream, each in a process of its own so that its memory can be told:
 * `deno run -A bench/trace_ways.ts WAY DATABASE_URL LOT_CODE…` writes what it took as JSON.
 *
 * @module
 */

import { z } from "zod";
import { connect, type Sql } from "../db/connect.ts";
import { openSession } from "../db/session.ts";
import { insertTrace, queueTrace } from "../db/traces.ts";
import { deepTrace } from "../jobs/deep_trace.ts";
import { createThreads, type Threads } from "../jobs/threads.ts";
import { createInlineTracer, type InlineTracer } from "../lineage/inline.ts";
import { runJob } from "../testing/run_job.ts";
import { type Running, startLegacy } from "./servers.ts";
import { dropLinkIndexes } from "./plant.ts";

// What the walk needs of an answer of the old server.
const Trace = z.object({ children: z.array(z.object({ lot_code: z.string() })) });

/** What a trace has found. */
export interface Found {
  readonly lots: number;
  readonly links: number;
}

/** One way to trace a lot. */
export interface TraceWay {
  readonly name: string;
  readonly title: string;
  /** It is so slow that only so many lots are walked to, and its time is scaled to all. */
  readonly sample?: number;
  /** Gets ready and gives what is to be measured. */
  prepare(sql: Sql, url: string, lotCode: string): Promise<() => Promise<Found>>;
}

// Threads and connections are kept from trace to trace, as in the worker and in the API.
let jobThreads: Threads | undefined;
let tracer: InlineTracer | undefined;
let standIn: Running | undefined;

export const TRACE_WAYS: readonly TraceWay[] = [
  {
    name: "statement",
    title: "one recursive statement, its rows sent to the client",
    prepare: (sql, _url, lotCode) => Promise.resolve(() => byStatement(sql, lotCode)),
  },
  {
    name: "job",
    title: "Lotline's job, its result stored",
    async prepare(sql, url, lotCode) {
      const id = crypto.randomUUID();
      const asked = {
        id,
        lotCode,
        direction: "downstream",
        maxDepth: null,
        atMost: 1_000_000,
      } as const;
      await insertTrace(sql, asked, null);
      await queueTrace(sql, id, "bench", { ofAccount: 1_000_000, waiting: 1_000_000 });
      const name = "lotline-bench";
      jobThreads ??= createThreads({ databaseUrl: url, name, statementTimeoutMs: 0 });
      const threads = jobThreads;
      return async () => {
        await runJob({ sql, url }, deepTrace, { traceId: id }, { threads });
        return await countsOf(sql, id);
      };
    },
  },
  {
    name: "inline",
    title: "the same within a request",
    async prepare(sql, url, lotCode) {
      const asked = { id: crypto.randomUUID(), direction: "downstream", maxDepth: null } as const;
      const request = { ...asked, lotCode, atMost: 1_000_000 };
      const lotId = await insertTrace(sql, request, null) ?? "";
      tracer ??= createInlineTracer(() => openSession(url, { name: "lotline-bench" }));
      const { take } = tracer;
      return async () => {
        await take({ ...request, lotId }, new AbortController().signal);
        return await countsOf(sql, request.id);
      };
    },
  },
  {
    name: "per_lot",
    title: "a query for each lot",
    prepare: (sql, _url, lotCode) => Promise.resolve(() => lotByLot(sql, lotCode)),
  },
  {
    name: "old_server",
    title: "a request to the old server's stand-in for each lot",
    prepare: (_sql, url, lotCode) => prepareRequests(url, lotCode),
  },
  {
    name: "old_server_unindexed",
    title: "the same before `deno task migrate`: 20 lots, scaled",
    sample: 20,
    async prepare(_sql, url, lotCode) {
      await dropLinkIndexes(url);
      return await prepareRequests(url, lotCode, this.sample);
    },
  },
];

async function countsOf(sql: Sql, traceId: string): Promise<Found> {
  const [found] = await sql<Found[]>`
    select (summary->'lot_count')::int as lots, (summary->'link_count')::int as links
    from lotline.traces where id = ${traceId}`;
  return found ?? { lots: 0, links: 0 };
}

async function byStatement(sql: Sql, lotCode: string): Promise<Found> {
  const rows = await sql<{ lot_code: string | null }[]>`
    with recursive reached as (
      select id from lots where lot_code = ${lotCode}
      union
      select child_lot_id from reached join lot_genealogy on parent_lot_id = reached.id
      where child_lot_id is not null
    )
    select lots.*, null::uuid as parent_lot_id, null::uuid as child_lot_id,
      null::numeric as quantity_used_kg
    from lots where id in (select id from reached)
    union all
    select null, null, null, null, null, null, null, null, null, null,
      parent_lot_id, child_lot_id, quantity_used_kg
    from lot_genealogy
    where parent_lot_id in (select id from reached) and child_lot_id in (select id from reached)`;
  const lots = rows.filter(({ lot_code }) => lot_code !== null).length;
  return { lots, links: rows.length - lots };
}

async function lotByLot(sql: Sql, lotCode: string): Promise<Found> {
  const seen = new Set<string>();
  let links = 0;
  const next = await sql<{ id: string }[]>`select * from lots where lot_code = ${lotCode}`;
  for (const { id } of next) seen.add(id);
  const queue = [...next];
  for (const { id } of queue) {
    const children = await sql<{ id: string }[]>`
      select lots.*, quantity_used_kg from lot_genealogy join lots on lots.id = child_lot_id
      where parent_lot_id = ${id}`;
    links += children.length;
    for (const child of children) {
      if (seen.has(child.id)) continue;
      seen.add(child.id);
      queue.push(child);
    }
  }
  return { lots: seen.size, links };
}

async function prepareRequests(databaseUrl: string, lotCode: string, most?: number) {
  const folder = await Deno.makeTempDir({ prefix: "lotline-bench-" });
  standIn ??= await startLegacy({ databaseUrl, folder });
  const { url } = standIn;
  return () => requestByRequest(url, lotCode, most);
}

/** What a client had to do: ask for a lot, then for each of its children, one after the other. */
async function requestByRequest(url: string, lotCode: string, most = Infinity): Promise<Found> {
  const queue = [lotCode];
  const seen = new Set(queue);
  let lots = 0;
  let links = 0;
  for (const code of queue) {
    const answer = await fetch(`${url}/api/traceability/${code}`);
    const { children } = Trace.parse(await answer.json());
    links += children.length;
    for (const { lot_code } of children) {
      if (!seen.has(lot_code)) queue.push(lot_code);
      seen.add(lot_code);
    }
    if (++lots === most) break;
  }
  return { lots, links };
}

/** Ends what was opened for traces. */
export async function closeWays(): Promise<void> {
  jobThreads?.[Symbol.dispose]();
  tracer?.[Symbol.dispose]();
  await standIn?.[Symbol.asyncDispose]();
}

/** What a process of this kind tells. */
export interface WayReport {
  readonly ms: readonly number[];
  readonly found: readonly Found[];
  /** The most memory that the process had, in MB (10⁶ bytes). */
  readonly peakMb: number;
}

if (import.meta.main) {
  const [name, url = "", warmUp = "", ...lotCodes] = Deno.args;
  const way = TRACE_WAYS.find((way) => way.name === name);
  if (way === undefined) throw new Error(`there is no way ${name}`);
  const sql = connect({ url, max: 1, statementTimeoutMs: 0, name: "lotline-bench" });
  await (await way.prepare(sql, url, warmUp))();
  const ms: number[] = [];
  const found: Found[] = [];
  for (const lotCode of lotCodes) {
    const trace = await way.prepare(sql, url, lotCode);
    const started = performance.now();
    found.push(await trace());
    ms.push(performance.now() - started);
  }
  const status = await Deno.readTextFile("/proc/self/status");
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
  const report: WayReport = { ms, found, peakMb: Number(kibibytes) * 1024 / 1e6 };
  console.log(JSON.stringify(report));
  await closeWays();
  await sql.end({ timeout: 1 });
}
