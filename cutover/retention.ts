import { connect } from "../db/connect.ts";
import type { Sql, Statement } from "../db/sql.ts";
import { queryWithDeadline } from "../db/query_deadline.ts";
import { describeError, type Log } from "../log.ts";

/*
 * How long the cutover's evidence and recordings are kept. Changes of routes and of limits are kept for
 * as long as the tables are.
 *
 * Each statement deletes a batch and gives how many rows that were, so that none holds locks for long.
 * Every gateway does this; a lock that goes with the statement lets one at a time, also behind a pooler.
 */

/** The most rows that a statement here deletes. */
const BATCH = 1_000;
/** Any number will do, as long as nothing else in the database locks the same one. */
const LOCK = 5_684_633;
/** How long after a round the next one begins, in ms. */
const EVERY_MS = 3_600_000;
/** The same when it failed. */
const RETRY_MS = 60_000;

/** True unless another gateway deletes at this moment; then there is nothing to do for this one. */
const myTurn = (sql: Sql): Statement => sql`(select pg_try_advisory_xact_lock(${LOCK}))`;

/**
 * Adds the counts of minutes up by the hour when they are 30 days old: the durations take room, and
 * nobody looks at the minute any more. Gives how many minutes that were.
 */
async function rollUpOldResponses(sql: Sql): Promise<number> {
  const [row] = await queryWithDeadline(
    sql,
    sql<{ count: number }[]>`
      with minutes as (
        delete from lotline.route_answers where ctid = any (array(
          select ctid from lotline.route_answers
          where ${myTurn(sql)}
            and minute < now() - interval '30 days' and minute <> date_trunc('hour', minute)
          order by minute limit ${BATCH}
        ))
        returning *
      ), hours as (
        insert into lotline.route_answers as stored (
          operation, side, epoch, minute, requests, server_errors, silences, latencies
        )
        select operation, side, epoch, date_trunc('hour', minute), sum(requests),
          sum(server_errors), sum(silences), lotline.sum_counts(latencies)
        from minutes group by 1, 2, 3, 4 order by 1, 2, 3, 4
        on conflict (operation, side, epoch, minute) do update set
          requests = stored.requests + excluded.requests,
          server_errors = stored.server_errors + excluded.server_errors,
          silences = stored.silences + excluded.silences,
          latencies = lotline.add_counts(stored.latencies, excluded.latencies)
      )
      select count(*)::int from minutes`,
  );
  return row?.count ?? 0;
}

/** Counts of responses that are 400 days old: a year, and time to look at it. */
async function deleteOldResponses(sql: Sql): Promise<number> {
  const { count } = await queryWithDeadline(
    sql,
    sql`
      delete from lotline.route_answers where ctid = any (array(
        select ctid from lotline.route_answers where ${myTurn(sql)}
            and minute < now() - interval '400 days'
        limit ${BATCH}
      ))`,
  );
  return count;
}

/**
 * Adds the clients of minutes up by the day when they are 2 days old: no window reaches farther back.
 * Gives how many minutes that were.
 */
async function rollUpOldClients(sql: Sql): Promise<number> {
  const [row] = await queryWithDeadline(
    sql,
    sql<{ count: number }[]>`
      with minutes as (
        delete from lotline.route_clients where ctid = any (array(
          select ctid from lotline.route_clients
          where ${myTurn(sql)}
            and minute < now() - interval '2 days' and minute <> date_trunc('day', minute)
          order by minute limit ${BATCH}
        ))
        returning *
      ), days as (
        insert into lotline.route_clients as stored (
          operation, side, epoch, minute, requests, buckets
        )
        select operation, side, epoch, date_trunc('day', minute), sum(requests), bit_or(buckets)
        from minutes group by 1, 2, 3, 4 order by 1, 2, 3, 4
        on conflict (operation, side, epoch, minute) do update set
          requests = stored.requests + excluded.requests,
          buckets = stored.buckets | excluded.buckets
      )
      select count(*)::int from minutes`,
  );
  return row?.count ?? 0;
}

/** Counts of clients that are 400 days old. */
async function deleteOldClients(sql: Sql): Promise<number> {
  const { count } = await queryWithDeadline(
    sql,
    sql`
      delete from lotline.route_clients where ctid = any (array(
        select ctid from lotline.route_clients where ${myTurn(sql)}
            and minute < now() - interval '400 days'
        limit ${BATCH}
      ))`,
  );
  return count;
}

/** Outcomes of comparisons that are 400 days old. */
async function deleteOldOutcomes(sql: Sql): Promise<number> {
  const { count } = await queryWithDeadline(
    sql,
    sql`
      delete from lotline.route_outcomes where ctid = any (array(
        select ctid from lotline.route_outcomes where ${myTurn(sql)}
            and minute < now() - interval '400 days'
        limit ${BATCH}
      ))`,
  );
  return count;
}

/** Counts of what was compared that are 400 days old. */
async function deleteOldCoverage(sql: Sql): Promise<number> {
  const { count } = await queryWithDeadline(
    sql,
    sql`
      delete from lotline.route_coverage where ctid = any (array(
        select ctid from lotline.route_coverage where ${myTurn(sql)}
            and minute < now() - interval '400 days'
        limit ${BATCH}
      ))`,
  );
  return count;
}

/** Differences that are 90 days old; that there were some stays counted. */
async function deleteOldDifferences(sql: Sql): Promise<number> {
  const { count } = await queryWithDeadline(
    sql,
    sql`
      delete from lotline.differences where id in (
        select id from lotline.differences where ${myTurn(sql)}
            and at < now() - interval '90 days' limit ${BATCH}
      )`,
  );
  return count;
}

/** Gateway processes that have stored nothing for 30 days: they will send nothing again. */
async function deleteOldCollectors(sql: Sql): Promise<number> {
  const { count } = await queryWithDeadline(
    sql,
    sql`
      delete from lotline.evidence_collectors where id in (
        select id from lotline.evidence_collectors where ${myTurn(sql)}
            and stored_at < now() - interval '30 days'
        limit ${BATCH} for update skip locked
      )`,
  );
  return count;
}

/** Recordings that were over a day ago and that nobody collected, with their exchanges. */
async function deleteForgottenRecordings(sql: Sql): Promise<number> {
  const { count } = await queryWithDeadline(
    sql,
    sql`
      delete from lotline.recordings
      where ${myTurn(sql)}
            and until < now() - interval '1 day'`,
  );
  return count;
}

// In this order: what is old enough to go needn't be added up.
const STEPS: Readonly<Record<string, (sql: Sql) => Promise<number>>> = {
  route_answers: deleteOldResponses,
  route_answer_minutes: rollUpOldResponses,
  route_clients: deleteOldClients,
  route_client_minutes: rollUpOldClients,
  route_outcomes: deleteOldOutcomes,
  route_coverage: deleteOldCoverage,
  differences: deleteOldDifferences,
  evidence_collectors: deleteOldCollectors,
  recordings: deleteForgottenRecordings,
};

/**
 * Deletes and adds up what is old enough, a batch at a time; gives how many rows of what that were.
 * @throws the signal's reason, between two batches
 */
export async function prune(sql: Sql, signal: AbortSignal): Promise<Record<string, number>> {
  const deleted: Record<string, number> = {};
  for (const [name, step] of Object.entries(STEPS)) {
    let all = 0;
    for (let some = -1; some !== 0; all += some) {
      signal.throwIfAborted();
      some = await step(sql);
    }
    deleted[name] = all;
  }
  return deleted;
}

/** What keeping the evidence bounded takes. */
export interface RetentionOptions {
  readonly databaseUrl: string;
  readonly log: Log;
}

/** Deletes what was kept for long enough, now and every hour; disposing ends it. */
export function startRetention({ databaseUrl, log }: RetentionOptions): AsyncDisposable {
  const sql = connect({ url: databaseUrl, max: 1, name: "lotline-gateway-retention" });
  const end = new AbortController();
  let hasFailed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const round = async () => {
    try {
      log("info", "retention_deleted_rows", await prune(sql, end.signal));
      hasFailed = false;
    } catch (error) {
      if (end.signal.aborted) return;
      if (!hasFailed) {
        log("warn", "retention_failed", { error: describeError(error) });
      }
      hasFailed = true;
    }
    if (end.signal.aborted) return;
    timer = setTimeout(() => running = round(), hasFailed ? RETRY_MS : EVERY_MS);
  };
  let running = round();

  return {
    async [Symbol.asyncDispose]() {
      end.abort();
      clearTimeout(timer);
      await sql.end({ timeout: 1 });
      await running;
    },
  };
}
