import type { components } from "../contract/types.gen.ts";
import type { Sql } from "./sql.ts";
import { type IdempotencyKey, withSavedKey } from "./idempotency_keys.ts";
import { timed } from "./query_deadline.ts";
import { activeTraceparent } from "../telemetry/tracing.ts";
import type { ReplicaMark } from "./replica_marks.ts";

/** The kind of job that takes a trace; its arguments are `{ traceId }`. */
export const DEEP_TRACE_KIND = "deep_trace";

type DeepTrace = components["schemas"]["DeepTrace"];

export type Direction = DeepTrace["direction"];

interface TraceRequest {
  readonly id: string;
  readonly lotCode: string;
  readonly direction: Direction;
  /** Null: unlimited. */
  readonly maxDepth: number | null;
  readonly atMost: number;
}

/** A trace that isn't done. */
export interface OpenTrace extends Omit<TraceRequest, "lotCode"> {
  readonly lotId: string;
}

/** A result without its lots and links; those of older versions lack `half_links`. */
export type TraceSummary =
  & Omit<NonNullable<DeepTrace["result"]>, "lots" | "links" | "next_cursor" | "half_links">
  & { readonly half_links?: number };

/** A result whose lots and links are stored under an attempt's id. */
export interface TraceResult {
  readonly attemptId: string;
  /** The moment that it shows, as ISO text. */
  readonly asOf: string;
  /** The transactions that it shows, as a `pg_snapshot`. */
  readonly snapshot: string;
  readonly summary: TraceSummary;
}

export interface StoredTrace extends Omit<DeepTrace, "result"> {
  /** Not null exactly when it is done, as is the summary. */
  readonly run: string | null;
  readonly summary: TraceSummary | null;
}

/**
 * Stores a trace before it is taken inline, so that changes meanwhile are stored for it. Returns the
 * lot's id; nothing for an unknown code.
 */
export async function insertTrace(
  sql: Sql,
  request: TraceRequest,
  requestedBy: string | null,
): Promise<string | undefined> {
  // Without waiting for the disk: its id was not sent yet.
  const [row] = await timed(sql)<{ lot_id: string }[]>`
    ${insertion(sql, request, requestedBy, "off")} returning lot_id`;
  return row?.lot_id;
}

const insertion = (
  sql: Sql,
  { id, lotCode, direction, maxDepth, atMost }: TraceRequest,
  requestedBy: string | null,
  commit: "off" | "local",
) =>
  sql`
    insert into lotline.traces (id, lot_id, lot_code, direction, max_depth, at_most, requested_by)
    select ${id}, lots.id, lot_code, ${direction}, ${maxDepth}, ${atMost}, ${requestedBy}
    from lots
    where lot_code = ${lotCode} and set_config('synchronous_commit', ${commit}, true) = ${commit}`;

/** {@link insertTrace} for a trace that is to be taken on a replica, with its mark. */
export async function insertMarkedTrace(
  sql: Sql,
  request: TraceRequest,
  requestedBy: string | null,
): Promise<{ readonly lotId: string; readonly mark: ReplicaMark } | undefined> {
  // On the disk of the primary: no replica gets it before.
  const [row] = await timed(sql)<{ lotId: string; asOf: string; snapshot: string }[]>`
    ${insertion(sql, request, requestedBy, "local")}
    returning lot_id as "lotId", lotline.iso_moment(created_at) as "asOf", snapshot::text`;
  return row &&
    { lotId: row.lotId, mark: { trace: request.id, id: row.snapshot, asOf: row.asOf } };
}

/**
 * Finds a trace with the result that one would have that begins now; see `lotline.find_same_trace`.
 *
 * @param account see `account` in http/operation.ts
 * @param key is stored with it
 */
export async function findSameTrace(
  sql: Sql,
  { lotCode, direction, maxDepth, atMost }: Omit<TraceRequest, "id">,
  account: string,
  key?: IdempotencyKey,
): Promise<string | undefined> {
  const [same] = await timed(sql)<{ id: string }[]>`
    with same as materialized (
      select lotline.find_same_trace(
        lots.id, lot_code, ${direction}, ${maxDepth}::int, ${atMost}::int, ${account}
      ) as id
      from lots where lot_code = ${lotCode}
    )${withSavedKey(sql, key, sql`id from same where id is not null`)}
    select id from same where id is not null`;
  return same?.id;
}

export interface TraceBounds {
  /** Ready or running of one account. */
  readonly ofAccount: number;
  /** Ready of all accounts. */
  readonly waiting: number;
}

/**
 * Makes a job of a trace, unless another trace has the same result by now or a bound is reached.
 * Concurrent requests are executed one after the other.
 *
 * @param key is stored with the trace that has the result
 * @returns that trace, or the bound
 */
export async function queueTrace(
  sql: Sql,
  id: string,
  account: string,
  bounds: TraceBounds,
  key?: IdempotencyKey,
): Promise<{ readonly id: string } | { readonly full: keyof TraceBounds }> {
  const [queued] = await timed(sql)<{ id: string | null; isAccountFull: boolean }[]>`
    with trace as materialized (
      -- Locked: if it was deleted meanwhile, its job and key would remain.
      select id from lotline.traces where id = ${id} for update
    ), place as materialized (
      select place.*
      from trace cross join lateral lotline.place_of_trace(trace.id, ${account}) place
    ), job as (
      insert into lotline.jobs (kind, priority, arguments, account, turn, traceparent)
      select ${DEEP_TRACE_KIND}, 0, jsonb_build_object('traceId', trace.id), ${account}, turn,
        ${activeTraceparent() ?? null}::text
      from trace, place
      where same is null and mine < ${bounds.ofAccount} and waiting < ${bounds.waiting}
      returning id
    ), taken as (
      select same as id from place where same is not null
      union all
      select trace.id from trace, job
    )${withSavedKey(sql, key, sql`id from taken`)}, queued as (
      update lotline.traces set job_id = job.id, snapshot = pg_current_snapshot()
      from job where traces.id = ${id}
    )
    select (select id from taken) as id, mine >= ${bounds.ofAccount} as "isAccountFull"
    from place`;
  if (queued === undefined) throw new Error("the trace is gone");
  if (queued.id !== null) return { id: queued.id };
  return { full: queued.isAccountFull ? "ofAccount" : "waiting" };
}

/**
 * Deletes a trace whose id was not sent. One that is done or has a job stays: it was committed with
 * the request's key, although the response was lost.
 */
export async function deleteTrace(sql: Sql, id: string): Promise<void> {
  await timed(sql)`delete from lotline.traces where id = ${id} and run is null and job_id is null`;
}

/**
 * The trace of a job, unless it is gone or done, for an attempt that begins now. Its snapshot is stored
 * unless the job belongs to another attempt by now. With its mark for a replica.
 */
export async function beginTrace(
  sql: Sql,
  id: string,
  run: string,
): Promise<{ readonly trace: OpenTrace; readonly mark: ReplicaMark } | undefined> {
  const [row] = await timed(sql)<(OpenTrace & { snapshot: string; asOf: string })[]>`
    with begun as (
      update lotline.traces set snapshot = pg_current_snapshot()
      from lotline.jobs
      where traces.id = ${id} and run is null and jobs.id = job_id and token = ${run}
    )
    select id, lot_id as "lotId", direction, max_depth as "maxDepth", at_most as "atMost",
      pg_current_snapshot()::text as snapshot, lotline.iso_moment(now()) as "asOf"
    from lotline.traces where id = ${id} and run is null`;
  if (row === undefined) return undefined;
  const { snapshot, asOf, ...trace } = row;
  return { trace, mark: { trace: id, id: snapshot, asOf } };
}

/** Stores a trace's result; returns false when the trace is gone or done already. */
export async function finishTrace(
  tx: Sql,
  id: string,
  { attemptId: run, asOf, snapshot, summary }: TraceResult,
): Promise<boolean> {
  const { count } = await timed(tx)`
    update lotline.traces set run = ${run}, as_of = ${asOf},
      snapshot = ${snapshot}::text::pg_snapshot, summary = ${tx.json({ ...summary })},
      bytes = lotline.bytes_of_run(${run})
    where id = ${id} and run is null`;
  return count > 0;
}

export async function findTraceById(sql: Sql, id: string): Promise<StoredTrace | undefined> {
  const [trace] = await timed(sql)<StoredTrace[]>`
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
    where traces.id = ${id}`;
  return trace;
}
