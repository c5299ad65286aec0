import type { Sql } from "../../db/sql.ts";
import { queryWithDeadline } from "../../db/query_deadline.ts";
import type { StoredMismatch } from "./stored_mismatch.ts";
import type { ClientCount, CoverageCount, OutcomeCount, ResponseCount } from "./counters.ts";

/*
 * `lotline.route_answers`, `lotline.route_clients`, `lotline.route_outcomes`, `lotline.route_coverage`
 * and `lotline.differences`, to be added to. verdicts.ts and route_clients.ts read them.
 */

/** What a process has counted since the batch before. */
export interface Batch {
  /** Names the process. */
  readonly collector: string;
  /** Greater than that of every batch before it. */
  readonly number: number;
  readonly responses: readonly ResponseCount[];
  readonly clients: readonly ClientCount[];
  readonly outcomes: readonly OutcomeCount[];
  readonly coverage: readonly CoverageCount[];
  readonly differences: readonly StoredMismatch[];
}

/** Of each kind so many differences are kept a day, by UTC. */
export const MAX_OF_A_KIND = 20;
/** So many differences are kept in all; the oldest go first. */
export const MAX_DIFFERENCES = 10_000;

/**
 * Adds a batch to what is stored, all of it or nothing. A batch that was stored already is not added
 * again, so that one whose answer was lost can be sent once more, even while the first statement still
 * runs.
 */
export async function storeBatch(sql: Sql, batch: Batch, deadlineMs?: number): Promise<void> {
  // By PostgreSQL's clock, the one that all processes share. What is older than the whole statement
  // may be sent again later: it has aged as much by then.
  const now = performance.now();
  const responses = batch.responses.map(({ at, ...count }) => ({ ...count, age_ms: now - at }));
  const clients = batch.clients.map(({ at, clients, ...count }) => ({
    ...count,
    buckets: clients.toHex(),
    age_ms: now - at,
  }));
  const outcomes = batch.outcomes.map(({ at, ...count }) => ({ ...count, age_ms: now - at }));
  const coverage = batch.coverage.map(({ at, ...count }) => ({ ...count, age_ms: now - at }));
  const differences = batch.differences.map(({ at, ...kept }) => ({ ...kept, age_ms: now - at }));
  const minute = sql`date_trunc('minute', now() - age_ms * interval '1 millisecond')`;
  // Rows in one order, so that two processes can't wait for each other.
  await queryWithDeadline(
    sql,
    sql`
      with turn as (
        insert into lotline.evidence_collectors as collector (id, batch)
        values (${batch.collector}, ${batch.number})
        on conflict (id) do update set batch = excluded.batch, stored_at = now()
        where collector.batch < excluded.batch
        returning id
      ), answers as (
        insert into lotline.route_answers as stored (
          operation, side, epoch, minute, requests, server_errors, silences, latencies
        )
        select operation, side, epoch, ${minute}, sum(requests), sum("serverErrors"),
          sum(silences), lotline.sum_counts(latencies)
        from turn cross join jsonb_to_recordset(${sql.json(responses)}) as counted (
          operation text, side text, epoch int, age_ms float8, requests bigint,
          "serverErrors" bigint, silences bigint, latencies jsonb
        )
        group by 1, 2, 3, 4 order by 1, 2, 3, 4
        on conflict (operation, side, epoch, minute) do update set
          requests = stored.requests + excluded.requests,
          server_errors = stored.server_errors + excluded.server_errors,
          silences = stored.silences + excluded.silences,
          latencies = lotline.add_counts(stored.latencies, excluded.latencies)
      ), clients as (
        insert into lotline.route_clients as stored (
          operation, side, epoch, minute, requests, buckets
        )
        select operation, side, epoch, ${minute}, sum(requests),
          bit_or(('x' || buckets)::bit(10000))
        from turn cross join jsonb_to_recordset(${sql.json(clients)}) as counted (
          operation text, side text, epoch int, age_ms float8, requests bigint, buckets text
        )
        group by 1, 2, 3, 4 order by 1, 2, 3, 4
        on conflict (operation, side, epoch, minute) do update set
          requests = stored.requests + excluded.requests,
          buckets = stored.buckets | excluded.buckets
      ), outcomes as (
        insert into lotline.route_outcomes as stored (
          operation, epoch, minute, outcome, approval, count
        )
        select operation, epoch, ${minute}, outcome, approval, sum(count)
        from turn cross join jsonb_to_recordset(${sql.json(outcomes)}) as counted (
          operation text, epoch int, age_ms float8, outcome text, approval text, count bigint
        )
        group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
        on conflict (operation, epoch, minute, outcome, approval) do update set
          count = stored.count + excluded.count
      ), covered as (
        insert into lotline.route_coverage as stored (operation, epoch, minute, what, count)
        select operation, epoch, ${minute}, what, sum(count)
        from turn cross join jsonb_to_recordset(${sql.json(coverage)}) as counted (
          operation text, epoch int, age_ms float8, what text, count bigint
        )
        group by 1, 2, 3, 4 order by 1, 2, 3, 4
        on conflict (operation, epoch, minute, what) do update set
          count = stored.count + excluded.count
      ), found as (
        select *, now() - age_ms * interval '1 millisecond' as at
        from turn cross join jsonb_to_recordset(${sql.json(differences)}) as found (
          operation text, epoch int, mode text, outcome text, fingerprint text, age_ms float8,
          request jsonb, legacy jsonb, service jsonb, differences jsonb
        )
      ), crowded as (
        delete from lotline.differences where id in (
          select id from lotline.differences
          where ${differences.length > 0}::bool
          order by id desc offset ${MAX_DIFFERENCES - differences.length}::int
        )
      )
      insert into lotline.differences (
        at, operation, epoch, mode, outcome, fingerprint, request, legacy, service, differences
      )
      select at, operation, epoch, mode, outcome, fingerprint,
        nullif(request, 'null'), nullif(legacy, 'null'), nullif(service, 'null'), differences
      from (
        select *, row_number() over (partition by fingerprint order by at) as place from found
      ) numbered
      where place + (
        select count(*) from lotline.differences kept
        where kept.fingerprint = numbered.fingerprint and kept.at >= date_trunc('day', now())
      ) <= ${MAX_OF_A_KIND}
      order by at`,
    deadlineMs,
  );
}
