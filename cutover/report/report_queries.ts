import { z } from "zod";
import type { Sql } from "../../db/sql.ts";
import { queryWithDeadline } from "../../db/query_deadline.ts";
import { LEGACY_OPERATIONS, OLD_OPERATIONS_ARRAY } from "../exchange/operations.ts";
import { isSettled } from "../evidence/count_sums.ts";

/*
 * Everything that was gathered in a period, read for the report. A minute counts with the period that
 * it begins in.
 */

/** Both in UTC; `until` itself is outside. */
export interface Period {
  readonly since: string;
  readonly until: string;
}

/** A report looks at months of minutes, and nobody waits for it but who asked. */
export const DEADLINE_MS = 120_000;
/** Of each route so many kinds of differences, and so many changes, are told at most. */
const MAX_KINDS = 100;
const MAX_CHANGES = 1_000;

const Operation = z.enum(LEGACY_OPERATIONS);
const Moment = z.iso.datetime();

/** From the first minute or change that is on record to the end of the last, if there is any. */
export async function findPeriod(sql: Sql): Promise<Period | undefined> {
  const [row] = await queryWithDeadline(
    sql,
    sql`
      select date_trunc('minute', min(at)) as since,
        date_trunc('minute', max(at)) + interval '1 minute' as until
      from (
        select min(minute) as at from lotline.route_answers
        union all select max(minute) from lotline.route_answers
        union all select min(minute) from lotline.route_outcomes
        union all select max(minute) from lotline.route_outcomes
        union all select min(minute) from lotline.route_coverage
        union all select max(minute) from lotline.route_coverage
        union all select min(at) from lotline.route_changes
        union all select max(at) from lotline.route_changes
      ) ends`,
    DEADLINE_MS,
  );
  const period = z.object({ since: Moment.nullable(), until: Moment.nullable() }).parse(row);
  return period.since === null || period.until === null
    ? undefined
    : { since: period.since, until: period.until };
}

const ResponseSum = z.object({
  operation: Operation,
  side: z.enum(["legacy", "service"]),
  requests: z.number(),
  server_errors: z.number(),
  silences: z.number(),
  latencies: z.record(z.string(), z.number()),
  first: Moment,
  last: Moment,
});

/** What each side answered to an operation. */
export async function listResponseSums(
  sql: Sql,
  { since, until }: Period,
): Promise<readonly z.output<typeof ResponseSum>[]> {
  const rows = await queryWithDeadline(
    sql,
    sql`
      with counted as (
        select operation, side, minute, requests, server_errors, silences, latencies
        from lotline.route_answers
        where operation = any (${OLD_OPERATIONS_ARRAY}::text[]) and minute >= ${since} and minute < ${until}
      ),
      buckets as (
        select operation, side, jsonb_object_agg(bucket, count) as latencies
        from (
          select operation, side, key as bucket, sum(value::bigint) as count
          from counted, jsonb_each_text(latencies) group by 1, 2, 3
        ) by_bucket
        group by 1, 2
      )
      select operation, side, sum(requests)::float8 as requests,
        sum(server_errors)::float8 as server_errors, sum(silences)::float8 as silences,
        coalesce((
          select latencies from buckets
          where buckets.operation = counted.operation and buckets.side = counted.side
        ), '{}') as latencies,
        min(minute) as first, max(minute) as last
      from counted group by operation, side`,
    DEADLINE_MS,
  );
  return z.array(ResponseSum).parse([...rows]);
}

const OutcomeSum = z.object({
  operation: Operation,
  outcome: z.enum(["same", "approved", "raced", "late", "different", "unanswered", "lost"]),
  approval: z.string(),
  count: z.number(),
  first: Moment,
  last: Moment,
});

/** What became of comparisons; with an approval, how often it was needed. */
export async function listOutcomeSums(
  sql: Sql,
  { since, until }: Period,
): Promise<readonly z.output<typeof OutcomeSum>[]> {
  const rows = await queryWithDeadline(
    sql,
    sql`
      select operation, outcome, approval, sum(count)::float8 as count,
        min(minute) as first, max(minute) as last
      from lotline.route_outcomes
      where operation = any (${OLD_OPERATIONS_ARRAY}::text[]) and minute >= ${since} and minute < ${until}
      group by operation, outcome, approval order by operation, outcome, approval`,
    DEADLINE_MS,
  );
  return z.array(OutcomeSum).parse([...rows]);
}

const CoverageSum = z.object({ operation: Operation, what: z.string(), count: z.number() });

/** How far comparisons cover the exchanges. */
export async function listCoverageSums(
  sql: Sql,
  { since, until }: Period,
): Promise<readonly z.output<typeof CoverageSum>[]> {
  const rows = await queryWithDeadline(
    sql,
    sql`
      select operation, what, sum(count)::float8 as count
      from lotline.route_coverage
      where operation = any (${OLD_OPERATIONS_ARRAY}::text[]) and minute >= ${since} and minute < ${until}
        and ${isSettled(sql)}
      group by operation, what order by operation, what`,
    DEADLINE_MS,
  );
  return z.array(CoverageSum).parse([...rows]);
}

const DifferenceKind = z.object({
  operation: Operation,
  fingerprint: z.string(),
  kept: z.number(),
  first: Moment,
  last: Moment,
  mode: z.string(),
  request: z.looseObject({ method: z.string(), target: z.string() }).nullable(),
  differences: z.array(z.object({
    place: z.string(),
    legacy: z.string().optional(),
    service: z.string().optional(),
  })),
});

/** Kinds of unapproved differences with their last case, those with the most cases first. */
export async function listDifferenceKinds(
  sql: Sql,
  { since, until }: Period,
): Promise<readonly z.output<typeof DifferenceKind>[]> {
  const rows = await queryWithDeadline(
    sql,
    sql`
      with kinds as (
        select operation, fingerprint, count(*) as kept, min(at) as first, max(at) as last,
          max(id) as id,
          row_number() over (partition by operation order by count(*) desc, fingerprint) as place
        from lotline.differences
        where operation = any (${OLD_OPERATIONS_ARRAY}::text[]) and outcome = 'different'
          and at >= ${since} and at < ${until}
        group by operation, fingerprint
      )
      select kinds.operation, kinds.fingerprint, kept::float8, first, last, mode, request,
        differences
      from kinds join lotline.differences using (id)
      where place <= ${MAX_KINDS} order by kinds.operation, place`,
    DEADLINE_MS,
  );
  return z.array(DifferenceKind).parse([...rows]);
}

const Change = z.object({
  at: Moment,
  what: z.string(),
  operation: Operation,
  from_mode: z.string(),
  from_percent: z.number().nullable(),
  to_mode: z.string(),
  to_percent: z.number().nullable(),
  to_sample: z.number().nullable(),
  who: z.string(),
  why: z.string(),
  automatic: z.boolean(),
});

/** A change of a route. */
export type Change = z.output<typeof Change>;

/** The changes of each route in the period, and the one that was in force before; oldest first. */
export async function listChangesIn(
  sql: Sql,
  { since, until }: Period,
): Promise<readonly Change[]> {
  const rows = await queryWithDeadline(
    sql,
    sql`
      select at, what, operation, from_mode, from_percent, to_mode, to_percent, to_sample, who, why,
        automatic
      from (
        select *, row_number() over (partition by operation order by id desc) as place,
          lead(at) over (partition by operation order by id) as replaced
        from lotline.route_changes
        where operation = any (${OLD_OPERATIONS_ARRAY}::text[]) and at < ${until}
      ) numbered
      where place <= ${MAX_CHANGES} and (at >= ${since} or replaced is null or replaced >= ${since})
      order by id`,
    DEADLINE_MS,
  );
  return z.array(Change).parse([...rows]);
}
