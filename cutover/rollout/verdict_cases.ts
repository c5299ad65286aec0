import { z } from "zod";
import type { Sql, Statement } from "../../db/sql.ts";
import { isSettled, sumsBy } from "../evidence/count_sums.ts";
import { OutcomeCountsForm } from "../evidence/coverage.ts";
import { queryWithDeadline } from "../../db/query_deadline.ts";
import { type Thresholds, ThresholdsForm } from "./thresholds.ts";
import { LEGACY_OPERATIONS, OLD_OPERATIONS_ARRAY } from "../exchange/operations.ts";
import type { Upstream } from "../exchange/route.ts";
import { modeOf } from "../routes/routing.ts";
import type { RouteEvidence } from "./verdict.ts";
import { ShareForm, sharesOf } from "../routes/route_clients.ts";

/** The evidence about a route, and the thresholds that apply to it. */
interface Case {
  readonly evidence: RouteEvidence;
  readonly thresholds: Thresholds;
}

const Figures = z.object({
  requests: z.number(),
  serverErrors: z.number(),
  silences: z.number(),
  latencies: z.record(z.string(), z.number()),
});

const CaseRow = z.object({
  operation: z.enum(LEGACY_OPERATIONS),
  mode: z.string(),
  canary_percent: z.number().nullable(),
  epoch: z.int(),
  limits: ThresholdsForm,
  legacy: Figures,
  service: Figures,
  before: Figures,
  share: ShareForm,
  outcomes: OutcomeCountsForm,
  coverage: z.record(z.string(), z.number()),
  different: z.number(),
  places: z.array(z.string()),
}).transform(({ mode, canary_percent, limits, before, ...row }): Case => ({
  evidence: {
    ...row,
    // An invalid mode means `legacy`, as everywhere.
    mode: modeOf(mode, canary_percent ?? undefined) ?? { name: "legacy" },
    legacyBefore: before,
  },
  thresholds: limits,
}));

/** How many busy minutes of earlier epochs stand for the old server. */
const MINUTES_BEFORE = 240;

/**
 * The evidence of the last window of every route of the old API that isn't on `legacy`, of all
 * gateways. One statement reads it together with routes and thresholds, as of one moment.
 */
export async function listCases(sql: Sql, deadlineMs?: number): Promise<Case[]> {
  const outcomes = sql`
    select outcome, count from lotline.route_outcomes
    where operation = route.operation and epoch = route.epoch and approval = ''
      and minute >= oldest`;
  const coverage = sql`
    select what, count from lotline.route_coverage
    where operation = route.operation and epoch = route.epoch and minute >= oldest
      and ${isSettled(sql)}`;
  // Read only where the old server receives too few requests now.
  const before = sql`
    select * from lotline.route_answers
    where operation = route.operation and side = 'legacy' and epoch < route.epoch
      and (legacy.figures ->> 'requests')::bigint < min_samples
    order by epoch desc, minute desc limit ${MINUTES_BEFORE}`;
  const clients = sql`
    select * from lotline.route_clients clients
    where clients.operation = route.operation and side in ('legacy', 'service')
      and clients.epoch = route.epoch and minute >= oldest`;
  const rows = await queryWithDeadline(
    sql,
    sql`
      with newest as (select * from lotline.cutover_limits order by id desc limit 1)
      select route.operation, route.mode, route.canary_percent, route.epoch,
        to_jsonb(newest) as limits, legacy.figures as legacy, service.figures as service,
        before.figures as before, share,
        ${sumsBy(sql, "outcome", outcomes)} as outcomes,
        ${sumsBy(sql, "what", coverage)} as coverage,
        (
          select coalesce(sum(count), 0)::float8 from lotline.route_outcomes
          where operation = route.operation and epoch = route.epoch and outcome = 'different'
            and approval = ''
        ) as different,
        (
          select coalesce(jsonb_path_query_array(differences, '$[*].place'), '[]') from (
            select (
              select differences from lotline.differences
              where operation = route.operation and epoch = route.epoch and outcome = 'different'
              order by id desc limit 1
            ) as differences
          ) last
        ) as places
      from lotline.routes route
      cross join newest
      cross join lateral (
        select date_trunc('minute', now() - window_seconds * interval '1 second') as oldest
      ) window_
      cross join lateral (${windowOf(sql, "legacy")}) legacy
      cross join lateral (${windowOf(sql, "service")}) service
      cross join lateral (${figuresOf(sql, before)}) before
      cross join lateral (${sharesOf(sql, clients)}) moved
      where route.mode <> 'legacy' and route.operation = any (${OLD_OPERATIONS_ARRAY}::text[])
      order by route.operation`,
    deadlineMs,
  );
  return rows.map((row) => CaseRow.parse(row));
}

/** An upstream's figures within the window of a route's epoch. */
function windowOf(sql: Sql, upstream: Upstream): Statement {
  return figuresOf(
    sql,
    sql`
      select * from lotline.route_answers
      where operation = route.operation and side = ${upstream} and epoch = route.epoch
        and minute >= oldest`,
  );
}

/** The sums of rows of `lotline.route_answers`, as one jsonb called `figures`. */
function figuresOf(sql: Sql, rows: Statement): Statement {
  // Bucket by bucket: adding one row's jsonb to the next one's takes ten times as long.
  return sql`
    with rows as materialized (${rows})
    select jsonb_build_object(
      'requests', coalesce(sum(requests), 0),
      'serverErrors', coalesce(sum(server_errors), 0),
      'silences', coalesce(sum(silences), 0),
      'latencies', (
        select coalesce(jsonb_object_agg(bucket, count), '{}') from (
          select bucket, sum(count::bigint) as count
          from rows cross join lateral jsonb_each_text(latencies) as each (bucket, count)
          group by bucket
        ) summed
      )
    ) as figures
    from rows`;
}
