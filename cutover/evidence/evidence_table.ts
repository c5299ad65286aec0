import type { Sql, Statement } from "../../db/sql.ts";
import { timed } from "../../db/query_deadline.ts";
import type { StoredMismatch } from "./stored_mismatch.ts";
import { type Counters, OTHERS } from "./counters.ts";

/*
 * The statements that write to `lotline.route_answers`, `lotline.route_clients`,
 * `lotline.route_outcomes`, `lotline.route_coverage`, `lotline.unknown_requests` and
 * `lotline.differences`.
 */

/** What a process has counted since the batch before. */
export interface Batch extends ReturnType<Counters["take"]> {
  /** Names the process. */
  readonly collector: string;
  /** Greater than that of every batch before it. */
  readonly number: number;
  readonly differences: readonly StoredMismatch[];
}

/** The most differences of one kind that are kept in a day, by UTC. */
export const MAX_OF_A_KIND = 20;
/** The most differences that are kept in all; the oldest go first. */
export const MAX_DIFFERENCES = 10_000;
/** About the most kinds of unknown requests of a day; further ones are counted as others. */
export const MAX_UNKNOWN_OF_A_DAY = 100;

/** Adds rows to `lotline.route_answers`; those of one minute become one. */
export function addResponses(sql: Sql, rows: Statement): Statement {
  // Rows in one order here and below, so that two processes can't wait for each other.
  return sql`
    insert into lotline.route_answers as stored (
      operation, side, epoch, minute, requests, server_errors, silences, latencies
    )
    select operation, side, epoch, minute, sum(requests), sum(server_errors), sum(silences),
      lotline.sum_counts(latencies)
    from (${rows}) counted group by 1, 2, 3, 4 order by 1, 2, 3, 4
    on conflict (operation, side, epoch, minute) do update set
      requests = stored.requests + excluded.requests,
      server_errors = stored.server_errors + excluded.server_errors,
      silences = stored.silences + excluded.silences,
      latencies = lotline.add_counts(stored.latencies, excluded.latencies)`;
}

/** Adds rows to `lotline.route_clients`; those of one minute become one. */
export function addClients(sql: Sql, rows: Statement): Statement {
  return sql`
    insert into lotline.route_clients as stored (
      operation, side, epoch, minute, requests, buckets
    )
    select operation, side, epoch, minute, sum(requests), bit_or(buckets)
    from (${rows}) counted group by 1, 2, 3, 4 order by 1, 2, 3, 4
    on conflict (operation, side, epoch, minute) do update set
      requests = stored.requests + excluded.requests,
      buckets = stored.buckets | excluded.buckets`;
}

/** Adds rows to `lotline.unknown_requests`; a day has room for some kinds. */
function addUnknown(sql: Sql, rows: Statement): Statement {
  return sql`
    insert into lotline.unknown_requests as stored (day, method, path, count, first_at, last_at)
    select day, case when fits then method else ${OTHERS.method} end,
      case when fits then path else ${OTHERS.path} end, sum(count), min(at), max(at)
    from (select *, (at at time zone 'utc')::date as day from (${rows}) dated) counted
    cross join lateral (
      select exists (
        select from lotline.unknown_requests known
        where known.day = counted.day and known.method = counted.method
          and known.path = counted.path
      ) or (
        select count(*) from lotline.unknown_requests known where known.day = counted.day
      ) < ${MAX_UNKNOWN_OF_A_DAY} as fits
    ) room
    group by 1, 2, 3 order by 1, 2, 3
    on conflict (day, method, path) do update set
      count = stored.count + excluded.count,
      first_at = least(stored.first_at, excluded.first_at),
      last_at = greatest(stored.last_at, excluded.last_at)`;
}

/**
 * Adds a batch to what is stored, all of it or nothing. A batch that was stored already is not added
 * again: one whose result was lost can be sent once more, even while the first statement still runs.
 */
export async function storeBatch(sql: Sql, batch: Batch, deadlineMs?: number): Promise<void> {
  // By PostgreSQL's clock, the one that all processes share. What is older than the whole statement
  // may be sent again later: it has aged as much by then.
  const now = performance.now();
  const aged = <Row extends { readonly at: number }>(rows: readonly Row[]) =>
    rows.map(({ at, ...row }) => ({ ...row, age_ms: now - at }));
  const counted = aged(batch.clients)
    .map(({ clients, ...count }) => ({ ...count, buckets: clients.toHex() }));
  const minute = sql`date_trunc('minute', now() - age_ms * interval '1 millisecond')`;
  const responses = sql`
    select operation, side, epoch, ${minute} as minute, requests,
      "serverErrors" as server_errors, silences, latencies
    from turn cross join jsonb_to_recordset(${sql.json(aged(batch.responses))}) as counted (
      operation text, side text, epoch int, age_ms float8, requests bigint,
      "serverErrors" bigint, silences bigint, latencies jsonb
    )`;
  const clients = sql`
    select operation, side, epoch, ${minute} as minute, requests,
      ('x' || buckets)::bit(10000) as buckets
    from turn cross join jsonb_to_recordset(${sql.json(counted)}) as counted (
      operation text, side text, epoch int, age_ms float8, requests bigint, buckets text
    )`;
  const unknown = sql`
    select method, path, count, now() - age_ms * interval '1 millisecond' as at
    from turn cross join jsonb_to_recordset(${sql.json(aged(batch.unknown))}) as counted (
      method text, path text, age_ms float8, count bigint
    )`;
  await timed(sql, deadlineMs)`
    with turn as (
      insert into lotline.evidence_collectors as collector (id, batch)
      values (${batch.collector}, ${batch.number})
      on conflict (id) do update set batch = excluded.batch, stored_at = now()
      where collector.batch < excluded.batch
      returning id
    ), responses as (${addResponses(sql, responses)}
    ), clients as (${addClients(sql, clients)}
    ), outcomes as (
      insert into lotline.route_outcomes as stored (
        operation, epoch, minute, outcome, approval, count
      )
      select operation, epoch, ${minute}, outcome, approval, sum(count)
      from turn cross join jsonb_to_recordset(${sql.json(aged(batch.outcomes))}) as counted (
        operation text, epoch int, age_ms float8, outcome text, approval text, count bigint
      )
      group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
      on conflict (operation, epoch, minute, outcome, approval) do update set
        count = stored.count + excluded.count
    ), covered as (
      insert into lotline.route_coverage as stored (operation, epoch, minute, what, count)
      select operation, epoch, ${minute}, what, sum(count)
      from turn cross join jsonb_to_recordset(${sql.json(aged(batch.coverage))}) as counted (
        operation text, epoch int, age_ms float8, what text, count bigint
      )
      group by 1, 2, 3, 4 order by 1, 2, 3, 4
      on conflict (operation, epoch, minute, what) do update set
        count = stored.count + excluded.count
    ), unknown as (${addUnknown(sql, unknown)}
    ), found as (
      select *, now() - age_ms * interval '1 millisecond' as at
      from turn cross join jsonb_to_recordset(${sql.json(aged(batch.differences))}) as found (
        operation text, epoch int, mode text, outcome text, fingerprint text, age_ms float8,
        request jsonb, legacy jsonb, service jsonb, differences jsonb
      )
    ), crowded as (
      delete from lotline.differences where id in (
        select id from lotline.differences
        where ${batch.differences.length > 0}::bool
        order by id desc offset ${MAX_DIFFERENCES - batch.differences.length}::int
      )
    )
    insert into lotline.differences (
      at, operation, epoch, mode, outcome, fingerprint, request, legacy, service, differences
    )
    select at, operation, epoch, mode, outcome, fingerprint, request, legacy, service, differences
    from (
      select *, row_number() over (partition by fingerprint order by at) as place from found
    ) numbered
    where place + (
      select count(*) from lotline.differences kept
      where kept.fingerprint = numbered.fingerprint and kept.at >= date_trunc('day', now())
    ) <= ${MAX_OF_A_KIND}
    order by at`;
}
