import { z } from "zod";
import type { Sql } from "../../db/sql.ts";
import { queryWithDeadline } from "../../db/query_deadline.ts";
import { LEGACY_OPERATIONS, OLD_OPERATIONS_ARRAY } from "../exchange/operations.ts";
import { isSettled, sumsBy } from "./count_sums.ts";
import { OutcomeCountsForm } from "./coverage.ts";

const Counts = z.record(z.string(), z.number());

const EpochRow = z.object({
  operation: z.enum(LEGACY_OPERATIONS),
  /** 0: the route was never changed. */
  epoch: z.int(),
  /** The age of the epoch in seconds; null: the route was never changed. */
  seconds: z.number().nullable(),
  /** The minutes of its first and last evidence, in UTC. */
  first: z.string().nullable(),
  last: z.string().nullable(),
  /** Requests by side. */
  requests: z.partialRecord(z.enum(["legacy", "service"]), z.number()),
  outcomes: OutcomeCountsForm,
  /** How far comparisons cover its exchanges. */
  coverage: Counts,
  /** How often each approval was needed, by id. */
  approvals: Counts,
});

/** The counts of a route's present epoch, of all gateways together. */
export type EpochCounts = Readonly<z.output<typeof EpochRow>>;

/** The counts of the present epoch of every operation of the old API. */
export async function listEpochCounts(sql: Sql): Promise<EpochCounts[]> {
  const outcomesOf = sql`
    select outcome, approval, count from lotline.route_outcomes counts
    where counts.operation = route.operation and counts.epoch = route.epoch`;
  const coverage = sql`
    select what, count from lotline.route_coverage counts
    where counts.operation = route.operation and counts.epoch = route.epoch
      and ${isSettled(sql)}`;
  const rows = await queryWithDeadline(
    sql,
    sql`
      select operation, epoch, seconds, answered.*,
        ${sumsBy(sql, "outcome", sql`${outcomesOf} and approval = ''`)} as outcomes,
        ${sumsBy(sql, "what", coverage)} as coverage,
        ${sumsBy(sql, "approval", sql`${outcomesOf} and approval <> ''`)} as approvals
      from (
        select known.operation, place, coalesce(epoch, 0) as epoch,
          extract(epoch from now() - changed_at)::float8 as seconds
        from unnest(${OLD_OPERATIONS_ARRAY}::text[]) with ordinality known (operation, place)
        left join lotline.routes stored on stored.operation = known.operation
      ) route
      cross join lateral (
        select min(first) as first, max(last) as last,
          coalesce(jsonb_object_agg(side, requests), '{}') as requests
        from (
          select side, min(minute) as first, max(minute) as last, sum(requests) as requests
          from lotline.route_answers answers
          where answers.operation = route.operation and side in ('legacy', 'service')
            and answers.epoch = route.epoch
          group by side
        ) by_side
      ) answered
      order by place`,
  );
  return rows.map((row) => EpochRow.parse(row));
}
