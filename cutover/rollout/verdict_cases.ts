import { z } from "zod";
import type { Sql, Statement } from "../../db/sql.ts";
import { isSettled, sumsBy } from "../evidence/epoch_counts.ts";
import { timed } from "../../db/query_deadline.ts";
import { ThresholdsForm } from "./thresholds.ts";
import { OLD_OPERATIONS_ARRAY } from "../exchange/operations.ts";
import type { Mode, Upstream } from "../exchange/route.ts";
import { modeOf } from "../routes/routing.ts";
import { EvidenceForm } from "./verdict.ts";
import { clientsOf, ofEpoch, sharesOf } from "../routes/route_clients.ts";

const CaseRow = EvidenceForm.extend({
  mode: z.string(),
  canary_percent: z.number().nullable(),
  limits: ThresholdsForm,
}).transform(({ mode, canary_percent, limits: thresholds, ...row }) => {
  // An invalid mode means `legacy`, as everywhere.
  const known: Mode = modeOf(mode, canary_percent ?? undefined) ?? { name: "legacy" };
  return { evidence: { ...row, mode: known }, thresholds };
});

/** How many busy minutes of earlier epochs stand for the old server. */
const MINUTES_BEFORE = 240;

/**
 * The evidence of the last window of every route of the old API that isn't on `legacy`, of all
 * gateways. One statement reads it together with routes and thresholds, as of one moment.
 */
export async function listCases(
  sql: Sql,
  deadlineMs?: number,
): Promise<z.output<typeof CaseRow>[]> {
  const outcomes = ofEpoch(sql, "lotline.route_outcomes");
  const coverage = ofEpoch(sql, "lotline.route_coverage");
  const inWindow = sql`and minute >= oldest`;
  const responses = ofEpoch(sql, "lotline.route_answers");
  const figures = (upstream: Upstream) =>
    figuresOf(sql, sql`${responses} and side = ${upstream} ${inWindow}`);
  // Read only where the old server receives too few requests now.
  const before = sql`
    select * from lotline.route_answers
    where operation = route.operation and side = 'legacy' and epoch < route.epoch
      and (legacy.figures ->> 'requests')::bigint < min_samples
    order by epoch desc, minute desc limit ${MINUTES_BEFORE}`;
  const rows = await timed(sql, deadlineMs)`
    with newest as (select * from lotline.cutover_limits order by id desc limit 1)
    select route.operation, route.mode, route.canary_percent, route.epoch,
      to_jsonb(newest) as limits, legacy.figures as legacy, service.figures as service,
      before.figures as "legacyBefore", share,
      ${sumsBy(sql, "outcome", sql`${outcomes} and approval = '' ${inWindow}`)} as outcomes,
      ${sumsBy(sql, "what", sql`${coverage} and ${isSettled(sql)} ${inWindow}`)} as coverage,
      (
        select coalesce(sum(count), 0)::float8
        from (${outcomes} and approval = '' and outcome = 'different') counted
      ) as different,
      (
        select coalesce(jsonb_path_query_array(differences, '$[*].place'), '[]') from (
          select (
            select differences from (${ofEpoch(sql, "lotline.differences")}) counted
            where outcome = 'different' order by id desc limit 1
          ) as differences
        ) last
      ) as places
    from lotline.routes route
    cross join newest
    cross join lateral (
      select date_trunc('minute', now() - window_seconds * interval '1 second') as oldest
    ) window_
    cross join lateral (${figures("legacy")}) legacy
    cross join lateral (${figures("service")}) service
    cross join lateral (${figuresOf(sql, before)}) before
    cross join lateral (${sharesOf(sql, sql`${clientsOf(sql)} ${inWindow}`)}) moved
    where route.mode <> 'legacy' and route.operation = any (${OLD_OPERATIONS_ARRAY}::text[])
    order by route.operation`;
  return rows.map((row) => CaseRow.parse(row));
}

/** The sums of rows of `lotline.route_answers`, as one jsonb called `figures`. */
export function figuresOf(sql: Sql, rows: Statement): Statement {
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
