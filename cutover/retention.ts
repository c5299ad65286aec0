import { connect } from "../db/connect.ts";
import type { Sql, Statement } from "../db/sql.ts";
import { timed } from "../db/query_deadline.ts";
import { addClients, addResponses } from "./evidence/evidence_table.ts";
import { describeError, type Log } from "../log.ts";
import { delay } from "../timing.ts";

/*
 * How long the cutover's evidence and recordings are kept. Changes of routes and of limits stay for as
 * long as the tables are there.
 *
 * Each statement deletes a batch and returns its number of rows, so that none holds locks for long.
 * Every gateway runs them; a lock that ends with the statement admits one at a time, also behind a
 * pooler.
 */

/** The most rows that a statement here deletes. */
const BATCH = 1_000;
/** Any number that nothing else in the database locks. */
const LOCK = 5_684_633;
/** The time between two rounds, in ms. */
const EVERY_MS = 3_600_000;
/** The same after one that failed. */
const RETRY_MS = 60_000;

/** True unless another gateway deletes at this moment; then there is nothing to do for this one. */
const myTurn = (sql: Sql): Statement => sql`(select pg_try_advisory_xact_lock(${LOCK}))`;

type Step = (sql: Sql) => Promise<number>;

/** Deletes rows that are older than `age`. */
const deleteOlder = (table: string, moment: string, age: string): Step => async (sql) => {
  const { count } = await timed(sql)`
    delete from ${sql(table)} where ctid = any (array(
      select ctid from ${sql(table)}
      where ${myTurn(sql)} and ${sql(moment)} < now() - ${age}::interval
      limit ${BATCH}
    ))`;
  return count;
};

/** Adds up rows of minutes older than `age` by the hour or day; resolves with the number of minutes. */
const rollUp = (
  table: string,
  unit: "hour" | "day",
  age: string,
  add: (sql: Sql, rows: Statement) => Statement,
  columns: readonly string[],
): Step =>
async (sql) => {
  const sums = sql`
    select operation, side, epoch, date_trunc(${unit}, minute) as minute, ${sql(columns)}
    from minutes`;
  const [row] = await timed(sql)<{ count: number }[]>`
    with minutes as (
      delete from ${sql(table)} where ctid = any (array(
        select ctid from ${sql(table)}
        where ${myTurn(sql)}
          and minute < now() - ${age}::interval and minute <> date_trunc(${unit}, minute)
        order by minute limit ${BATCH}
      ))
      returning *
    ), sums as (${add(sql, sums)})
    select count(*)::int from minutes`;
  return row?.count ?? 0;
};

/** A year, and time to read it. */
const COUNTS_AGE = "400 days";

// Deletes before it adds up: what is old enough to go needs no sum. Durations take room, and after 30
// days their hour is enough. No window of clients reaches farther back than 2 days. The count of
// differences stays. A gateway process that has stored nothing for 30 days will send nothing again. A
// recording that was not collected goes with its exchanges.
const STEPS: Readonly<Record<string, Step>> = {
  route_answers: deleteOlder("lotline.route_answers", "minute", COUNTS_AGE),
  route_answer_minutes: rollUp("lotline.route_answers", "hour", "30 days", addResponses, [
    "requests",
    "server_errors",
    "silences",
    "latencies",
  ]),
  route_clients: deleteOlder("lotline.route_clients", "minute", COUNTS_AGE),
  route_client_minutes: rollUp("lotline.route_clients", "day", "2 days", addClients, [
    "requests",
    "buckets",
  ]),
  route_outcomes: deleteOlder("lotline.route_outcomes", "minute", COUNTS_AGE),
  route_coverage: deleteOlder("lotline.route_coverage", "minute", COUNTS_AGE),
  differences: deleteOlder("lotline.differences", "at", "90 days"),
  evidence_collectors: deleteOlder("lotline.evidence_collectors", "stored_at", "30 days"),
  gateway_runs: deleteOlder("lotline.gateway_runs", "seen_at", COUNTS_AGE),
  unknown_requests: deleteOlder("lotline.unknown_requests", "day", COUNTS_AGE),
  recordings: deleteOlder("lotline.recordings", "until", "1 day"),
  plans: deleteOlder("lotline.plans", "ended_at", COUNTS_AGE),
};

/**
 * Deletes and adds up what is old enough, a batch at a time; returns the numbers of rows by step.
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

/** Deletes what is old enough, now and every hour; disposing ends it. */
export function startRetention(
  { databaseUrl, log }: { readonly databaseUrl: string; readonly log: Log },
): AsyncDisposable {
  const sql = connect({ url: databaseUrl, max: 1, name: "lotline-gateway-retention" });
  const end = new AbortController();
  const running = (async () => {
    let hasFailed = false;
    while (!end.signal.aborted) {
      try {
        log("info", "retention_deleted_rows", await prune(sql, end.signal));
        hasFailed = false;
      } catch (error) {
        if (end.signal.aborted) return;
        if (!hasFailed) log("warn", "retention_failed", { error: describeError(error) });
        hasFailed = true;
      }
      await delay(hasFailed ? RETRY_MS : EVERY_MS, end.signal);
    }
  })();

  return {
    async [Symbol.asyncDispose]() {
      end.abort();
      await sql.end({ timeout: 1 });
      await running;
    },
  };
}
