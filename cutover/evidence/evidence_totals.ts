import { z } from "zod";
import type { Sql } from "../../db/sql.ts";
import { queryWithDeadline } from "../../db/query_deadline.ts";
import { LEGACY_OPERATIONS, OLD_OPERATIONS_ARRAY } from "../exchange/operations.ts";
import { isSettled } from "./settled.ts";

/*
 * The evidence of all gateways, added up: of the routes as they stand, and of any time for a report.
 */

const OUTCOMES = ["same", "approved", "raced", "late", "different", "unanswered", "lost"] as const;
const Counts = z.record(z.string(), z.number());

const EpochRow = z.object({
  operation: z.enum(LEGACY_OPERATIONS),
  /** 0: nobody ever changed the route. */
  epoch: z.int(),
  /** For how long it has been as it is, in seconds; null: for ever. */
  seconds: z.number().nullable(),
  /** The minutes of its first and last evidence, in UTC. */
  first: z.string().nullable(),
  last: z.string().nullable(),
  /** Requests by side. */
  requests: z.partialRecord(z.enum(["legacy", "service"]), z.number()),
  /** Comparisons by what became of them. */
  outcomes: z.partialRecord(z.enum(OUTCOMES), z.number()),
  /** How far they cover its exchanges. */
  coverage: Counts,
  /** How often each approval was needed, by id. */
  approvals: Counts,
});

/** What a route's present epoch has brought so far. */
export type EpochCounts = Readonly<z.output<typeof EpochRow>>;

/** The counts of the present epoch of every operation of the old API. */
export async function listEpochCounts(sql: Sql): Promise<EpochCounts[]> {
  const rows = await queryWithDeadline(
    sql,
    sql`
      select operation, epoch, seconds, answered.*,
        (
          select coalesce(jsonb_object_agg(outcome, count), '{}') from (
            select outcome, sum(count) as count from lotline.route_outcomes counts
            where counts.operation = route.operation and counts.epoch = route.epoch
              and approval = ''
            group by outcome
          ) counted
        ) as outcomes,
        (
          select coalesce(jsonb_object_agg(what, count), '{}') from (
            select what, sum(count) as count from lotline.route_coverage counts
            where counts.operation = route.operation and counts.epoch = route.epoch
              and ${isSettled(sql)}
            group by what
          ) counted
        ) as coverage,
        (
          select coalesce(jsonb_object_agg(approval, count), '{}') from (
            select approval, sum(count) as count from lotline.route_outcomes counts
            where counts.operation = route.operation and counts.epoch = route.epoch
              and approval <> ''
            group by approval
          ) counted
        ) as approvals
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

const TotalsRow = z.object({
  operation: z.enum(LEGACY_OPERATIONS),
  epoch: z.int(),
  first: z.string(),
  last: z.string(),
  sides: z.partialRecord(
    z.enum(["legacy", "service"]),
    z.object({
      requests: z.number(),
      serverErrors: z.number(),
      silences: z.number(),
      latencies: Counts,
    }),
  ),
  outcomes: z.partialRecord(z.enum(OUTCOMES), z.number()),
  approvals: Counts,
});

/** What one epoch of a route has brought within some time. */
export type EpochTotals = Readonly<z.output<typeof TotalsRow>>;

/**
 * Everything that was counted for the old API from one moment until before another, by operation and
 * epoch. It reads each minute in between: months of it take a session with time.
 */
export async function listTotals(
  sql: Sql,
  { from, until, deadlineMs }: {
    readonly from: string;
    readonly until: string;
    readonly deadlineMs?: number | undefined;
  },
): Promise<EpochTotals[]> {
  const rows = await queryWithDeadline(
    sql,
    sql`
      with answers as materialized (
        select * from lotline.route_answers
        where minute >= ${from} and minute < ${until} and operation = any (${OLD_OPERATIONS_ARRAY}::text[])
      ), outcomes as materialized (
        select * from lotline.route_outcomes
        where minute >= ${from} and minute < ${until} and operation = any (${OLD_OPERATIONS_ARRAY}::text[])
      ), latencies as (
        select operation, epoch, side, jsonb_object_agg(bucket, count) as latencies from (
          select operation, epoch, side, bucket, sum(count::bigint) as count
          from answers cross join lateral jsonb_each_text(latencies) as each (bucket, count)
          group by 1, 2, 3, 4
        ) buckets
        group by 1, 2, 3
      ), sides as (
        select operation, epoch, jsonb_object_agg(side, figures) as sides from (
          select operation, epoch, side, jsonb_build_object(
            'requests', sum(requests), 'serverErrors', sum(server_errors),
            'silences', sum(silences),
            'latencies', coalesce((array_agg(summed.latencies))[1], '{}')
          ) as figures
          from answers left join latencies summed using (operation, epoch, side)
          group by 1, 2, 3
        ) by_side
        group by 1, 2
      ), counts as (
        select operation, epoch,
          jsonb_object_agg(outcome, count) filter (where approval = '') as outcomes,
          jsonb_object_agg(approval, count) filter (where approval <> '') as approvals
        from (
          select operation, epoch, outcome, approval, sum(count) as count from outcomes
          group by 1, 2, 3, 4
        ) counted
        group by 1, 2
      )
      select operation, epoch, min(minute) as first, max(minute) as last,
        coalesce((array_agg(sides))[1], '{}') as sides,
        coalesce((array_agg(outcomes))[1], '{}') as outcomes,
        coalesce((array_agg(approvals))[1], '{}') as approvals
      from (
        select operation, epoch, minute from answers
        union all
        select operation, epoch, minute from outcomes
      ) minutes
      left join sides using (operation, epoch)
      left join counts using (operation, epoch)
      group by operation, epoch
      order by operation, epoch`,
    deadlineMs,
  );
  return rows.map((row) => TotalsRow.parse(row));
}
