import { z } from "zod";
import type { Sql } from "../../db/sql.ts";
import { timed } from "../../db/query_deadline.ts";
import { OutcomeForm } from "../evidence/coverage.ts";
import { LEGACY_OPERATIONS, OLD_OPERATIONS_ARRAY } from "../exchange/operations.ts";
import { isSettled } from "../evidence/epoch_counts.ts";
import { MAX_SILENCE } from "../evidence/gateway_runs.ts";
import type { RecordedChange } from "../routes/route_changes.ts";
import { ThresholdsForm } from "../rollout/thresholds.ts";
import { FiguresForm } from "../rollout/verdict.ts";
import { figuresOf } from "../rollout/verdict_cases.ts";

/*
 * The evidence of a period, read for the report. A minute counts for the period in which it begins.
 */

/** Both in UTC; `until` itself is outside. */
export interface Period {
  readonly since: string;
  readonly until: string;
}

/** A report reads months of minutes, in ms; only the person who makes it waits. */
export const DEADLINE_MS = 120_000;
const MAX_KINDS = 100;
const MAX_CHANGES = 1_000;

const Operation = z.enum(LEGACY_OPERATIONS);
const Moment = z.iso.datetime();

/** Runs a statement as `timed` does, and parses its rows. */
const read =
  <S extends z.ZodType>(sql: Sql, form: S) =>
  async (...statement: Parameters<ReturnType<typeof timed>>) =>
    z.array(form).parse([...await timed(sql, DEADLINE_MS)(...statement)]);

/** The limits that were in force at the start of a row's minute, by their id. */
const limitsOf = (sql: Sql) =>
  sql`(
    select coalesce(max(id) filter (where at <= minute), min(id))::float8 from lotline.cutover_limits
  )`;

const ofOldApi = (sql: Sql) => sql`operation = any (${OLD_OPERATIONS_ARRAY}::text[])`;

const inPeriod = (sql: Sql, { since, until }: Period) =>
  sql`${ofOldApi(sql)} and minute >= ${since} and minute < ${until}`;

/** From the first recorded minute or change to the end of the last, if there is any. */
export async function findPeriod(sql: Sql): Promise<Period | undefined> {
  const Ends = z.object({ since: Moment.nullable(), until: Moment.nullable() });
  const [row] = await read(sql, Ends)`
    select date_trunc('minute', min(first)) as since,
      date_trunc('minute', max(last)) + interval '1 minute' as until
    from (
      select min(minute) as first, max(minute) as last from lotline.route_answers
      union all select min(minute), max(minute) from lotline.route_outcomes
      union all select min(minute), max(minute) from lotline.route_coverage
      union all select min(at), max(at) from lotline.route_changes
      union all select min(started_at), max(seen_at) from lotline.gateway_runs
    ) ends`;
  const { since, until } = row ?? {};
  return since && until ? { since, until } : undefined;
}

/** A route's evidence is added up by its epochs, and by the limits that were in force. */
const Part = z.object({ operation: Operation, epoch: z.int(), limits: z.number() });

const ResponseSum = Part.extend({
  side: z.enum(["legacy", "service"]),
  figures: FiguresForm,
  first: Moment,
  last: Moment,
});

/** The responses of each side to each operation. */
export function listResponseSums(sql: Sql, period: Period) {
  const rows = sql`
    select * from lotline.route_answers counts
    where counts.operation = seen.operation and counts.side = seen.side
      and counts.epoch = seen.epoch and ${limitsOf(sql)} = seen.limits
      and ${inPeriod(sql, period)}`;
  return read(sql, ResponseSum)`
    select seen.*, figures
    from (
      select operation, epoch, ${limitsOf(sql)} as limits, side, min(minute) as first,
        max(minute) as last
      from lotline.route_answers where ${inPeriod(sql, period)} group by 1, 2, 3, 4
    ) seen
    cross join lateral (${figuresOf(sql, rows)}) summed
    order by operation, epoch, limits, side`;
}

const OutcomeSum = Part.extend({
  outcome: OutcomeForm,
  approval: z.string(),
  count: z.number(),
  first: Moment,
  last: Moment,
});

/** Comparisons by outcome; with an approval, how often it was needed. */
export const listOutcomeSums = (sql: Sql, period: Period) =>
  read(sql, OutcomeSum)`
    select operation, epoch, ${limitsOf(sql)} as limits, outcome, approval,
      sum(count)::float8 as count, min(minute) as first, max(minute) as last
    from lotline.route_outcomes where ${inPeriod(sql, period)}
    group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5`;

/** How far comparisons cover the exchanges. */
export const listCoverageSums = (sql: Sql, period: Period) =>
  read(sql, Part.extend({ what: z.string(), count: z.number() }))`
    select operation, epoch, ${limitsOf(sql)} as limits, what, sum(count)::float8 as count
    from lotline.route_coverage where ${inPeriod(sql, period)} and ${isSettled(sql)}
    group by 1, 2, 3, 4 order by 1, 2, 3, 4`;

const LimitsRow = z.object({
  id: z.number(),
  at: Moment,
  who: z.string(),
  why: z.string(),
  values: ThresholdsForm,
});

/** All limits that were ever set, oldest first; the first ones are the built-in ones. */
export const listLimits = (sql: Sql, { until }: Period) =>
  read(sql, LimitsRow)`
    select id::float8, at, who, why, to_jsonb(limits) as values
    from lotline.cutover_limits limits
    where at < ${until} or id = (select min(id) from lotline.cutover_limits)
    order by id`;

const Span = z.object({ from: Moment, to: Moment });

/** The times in which at least one gateway could store its evidence, oldest first. */
export const listGatewayTimes = (sql: Sql, { since, until }: Period) =>
  read(sql, Span)`
    select lower(time) as from, upper(time) as to
    from unnest((
      select range_agg(tstzrange(started_at, seen_at + ${MAX_SILENCE}::interval))
      from lotline.gateway_runs where seen_at >= ${since} and started_at < ${until}
    )) as time
    order by time`;

/** The builds of the gateways that ran. */
export const listBuilds = (sql: Sql, { since, until }: Period) =>
  read(sql, Span.extend({ version: z.string(), commit: z.string().nullable() }))`
    select version, commit, min(started_at) as from, max(seen_at) as to
    from lotline.gateway_runs where seen_at >= ${since} and started_at < ${until}
    group by version, commit order by min(started_at), version, commit`;

const UnknownKind = z.object({
  method: z.string(),
  path: z.string(),
  count: z.number(),
  first: Moment,
  last: Moment,
});

/** What clients requested that matches no operation, and that the old server responded to. */
export const listUnknown = (sql: Sql, { since, until }: Period) =>
  read(sql, UnknownKind)`
    select method, path, sum(count)::float8 as count, min(first_at) as first, max(last_at) as last
    from lotline.unknown_requests
    where last_at >= ${since} and first_at < ${until}
    group by method, path order by sum(count) desc, method, path limit ${MAX_KINDS}`;

const DifferenceKind = z.object({
  operation: Operation,
  epoch: z.int(),
  fingerprint: z.string(),
  kept: z.number(),
  first: Moment,
  last: Moment,
  mode: z.string(),
  request: z.looseObject({ method: z.string(), target: z.string() }).nullable(),
  differences: z.array(z.object({
    place: z.string(),
    legacy: z.string().exactOptional(),
    service: z.string().exactOptional(),
  })),
});

/** Kinds of unapproved differences with their last case, those with the most cases first. */
export const listDifferenceKinds = (sql: Sql, { since, until }: Period) =>
  read(sql, DifferenceKind)`
    with kinds as (
      select operation, fingerprint, count(*) as kept, min(at) as first, max(at) as last,
        max(id) as id,
        row_number() over (partition by operation order by count(*) desc, fingerprint) as place
      from lotline.differences
      where ${ofOldApi(sql)} and outcome = 'different' and at >= ${since} and at < ${until}
      group by operation, fingerprint
    )
    select kinds.operation, epoch, kinds.fingerprint, kept::float8, first, last, mode, request, differences
    from kinds join lotline.differences using (id)
    where place <= ${MAX_KINDS} order by kinds.operation, place`;

/** The changes of each route in the period, and the one that was in force before; oldest first. */
export const listChangesIn = (sql: Sql, { since, until }: Period) =>
  timed(sql, DEADLINE_MS)<RecordedChange[]>`
    select *
    from (
      select *, row_number() over (partition by operation order by id desc) as place,
        lead(at) over (partition by operation order by id) as replaced
      from lotline.route_changes where ${ofOldApi(sql)} and at < ${until}
    ) numbered
    where place <= ${MAX_CHANGES} and (at >= ${since} or replaced is null or replaced >= ${since})
    order by id`;
