import type { Sql, Statement } from "./connect.ts";
import { type IdempotencyKey, keepingKey } from "./idempotency_keys.ts";
import { inTime } from "./in_time.ts";
import type { LotTypeTotal } from "./trace_chunks.ts";

/** The kind of job that takes a trace; its arguments are `{ traceId }`. */
export const DEEP_TRACE_KIND = "deep_trace";

/** Which way a trace goes; both: the lots of the two traces. */
export type Direction = "upstream" | "downstream" | "both";

/** A trace as it was asked for. */
export interface TraceRequest {
  readonly id: string;
  readonly lotCode: string;
  readonly direction: Direction;
  /** Null: as deep as it goes. */
  readonly maxDepth: number | null;
  readonly atMost: number;
}

/** A trace that is to be taken. */
export interface OpenTrace extends Omit<TraceRequest, "lotCode"> {
  readonly lotId: string;
}

/** What a result says besides its lots and links. */
export interface TraceSummary {
  readonly lot_count: number;
  readonly link_count: number;
  readonly depth_reached: number;
  readonly truncated: boolean;
  readonly totals: LotTypeTotal[];
  /** Lot codes in the direction of the links. */
  readonly cycles: string[][];
  readonly cycles_truncated: boolean;
}

/** A result whose lots and links are stored under the name of a run. */
export interface TraceResult {
  readonly run: string;
  /** The moment that it shows, as ISO text. */
  readonly asOf: string;
  /** The transactions that it shows, as PostgreSQL writes a snapshot. */
  readonly snapshot: string;
  readonly summary: TraceSummary;
}

export type TraceState = "queued" | "running" | "done" | "failed" | "cancelled";

/** A trace as it stands. */
export interface StoredTrace {
  readonly id: string;
  readonly state: TraceState;
  readonly progress: { readonly lots: number; readonly depth: number };
  readonly lot_code: string;
  readonly direction: Direction;
  readonly max_depth: number | null;
  readonly at_most: number;
  readonly created_at: string;
  readonly as_of: string | null;
  readonly out_of_date: boolean;
  /** Both are there when it is done, and only then. */
  readonly run: string | null;
  readonly summary: TraceSummary | null;
}

/**
 * Stores that a trace is to be taken at once, before it is: whoever notes changes meanwhile sees that
 * somebody may need them. Gives the lot's id; nothing for an unknown code.
 */
export async function insertTrace(
  sql: Sql,
  { id, lotCode, direction, maxDepth, atMost }: TraceRequest,
  requestedBy: string | null,
): Promise<string | undefined> {
  const [row] = await inTime(
    sql,
    // Not waiting for the disk: nobody has been told of it yet.
    sql<{ lot_id: string }[]>`
      insert into lotline.traces (id, lot_id, lot_code, direction, max_depth, at_most, requested_by)
      select ${id}, lots.id, lot_code, ${direction}, ${maxDepth}, ${atMost}, ${requestedBy}
      from lots
      where lot_code = ${lotCode} and set_config('synchronous_commit', 'off', true) = 'off'
      returning lot_id`,
  );
  return row?.lot_id;
}

/**
 * Makes a job of a trace, unless `most` of them wait already.
 * @param key is kept with it
 * @returns whether it was made
 */
export async function queueTrace(
  sql: Sql,
  id: string,
  most: number,
  key?: IdempotencyKey,
): Promise<boolean> {
  const queued = await inTime(
    sql,
    sql`
      with waiting as (
        select from lotline.jobs where kind = ${DEEP_TRACE_KIND} and state = 'ready' limit ${most}
      ), trace as (
        -- Locked: were it forgotten meanwhile, its job and key would be left.
        select id from lotline.traces where id = ${id} for update
      ), job as (
        insert into lotline.jobs (kind, priority, arguments)
        select ${DEEP_TRACE_KIND}, 0, jsonb_build_object('traceId', id) from trace
        where (select count(*) from waiting) < ${most}
        returning id
      )${keepingKey(sql, key, sql`${id}::uuid from job`)}
      update lotline.traces set job_id = job.id, snapshot = pg_current_snapshot()
      from job where traces.id = ${id} returning traces.id`,
  );
  return queued.length > 0;
}

/**
 * Forgets a trace of which nobody has been told. One that is done or has a job stays: that was
 * committed, with the request's key, although its answer was lost.
 */
export async function deleteTrace(sql: Sql, id: string): Promise<void> {
  await inTime(
    sql,
    sql`delete from lotline.traces where id = ${id} and run is null and job_id is null`,
  );
}

/** The trace of a job, unless it is gone or done. */
export async function findOpenTrace(sql: Sql, id: string): Promise<OpenTrace | undefined> {
  const [trace] = await inTime(
    sql,
    sql<OpenTrace[]>`
      select id, lot_id as "lotId", direction, max_depth as "maxDepth", at_most as "atMost"
      from lotline.traces where id = ${id} and run is null`,
  );
  return trace;
}

/** Makes a result the trace's, in the transaction that stored its lots and links. */
export async function finishTrace(sql: Sql, id: string, result: TraceResult): Promise<void> {
  const { count } = await finish(sql, id, result, sql``);
  // Nothing may be kept of the request, its key least of all.
  if (count === 0) throw new Error("the trace is gone or done already");
}

/** The same as the effect of a job: see `Effect` in jobs/define_job.ts. */
export function finishTraceOfJob(sql: Sql, id: string, result: TraceResult): Statement {
  return finish(sql, id, result, sql`from finished`);
}

function finish(
  sql: Sql,
  id: string,
  { run, asOf, snapshot, summary }: TraceResult,
  from: Statement,
): Statement {
  return sql`
    update lotline.traces set run = ${run}, as_of = ${asOf}, snapshot = ${snapshot}::text::pg_snapshot,
      summary = ${sql.json({ ...summary })}
    ${from} where traces.id = ${id} and traces.run is null`;
}

/** A trace with how far it is; nothing for an unknown id. */
export async function findTraceById(sql: Sql, id: string): Promise<StoredTrace | undefined> {
  const [trace] = await inTime(
    sql,
    sql<StoredTrace[]>`
      select traces.id,
        case
          when run is not null then 'done'
          when state = 'ready' then 'queued'
          when state in ('running', 'cancelled') then state
          else 'failed'
        end as state,
        jsonb_build_object(
          'lots', coalesce(summary->'lot_count', progress->'lots', '0'),
          'depth', coalesce(summary->'depth_reached', progress->'depth', '0')
        ) as progress,
        lot_code, direction, max_depth, at_most, traces.created_at, as_of, out_of_date, run, summary
      from lotline.traces left join lotline.jobs on jobs.id = traces.job_id
      where traces.id = ${id}`,
  );
  return trace;
}
