import { z } from "zod";
import type { Sql, Statement } from "../../db/sql.ts";
import { timed } from "../../db/query_deadline.ts";
import { LEGACY_OPERATIONS, OLD_OPERATIONS_ARRAY } from "../exchange/operations.ts";
import { ofEpoch } from "../routes/route_clients.ts";
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
  const outcomes = ofEpoch(sql, "lotline.route_outcomes");
  const coverage = sql`${ofEpoch(sql, "lotline.route_coverage")} and ${isSettled(sql)}`;
  const rows = await timed(sql)`
    select operation, epoch, seconds, responses.*,
      ${sumsBy(sql, "outcome", sql`${outcomes} and approval = ''`)} as outcomes,
      ${sumsBy(sql, "what", coverage)} as coverage,
      ${sumsBy(sql, "approval", sql`${outcomes} and approval <> ''`)} as approvals
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
        from (${ofEpoch(sql, "lotline.route_answers")} and side in ('legacy', 'service')) counted
        group by side
      ) by_side
    ) responses
    order by place`;
  return rows.map((row) => EpochRow.parse(row));
}

/** A comparison that was begun has an outcome by then, unless its process is gone. */
const SETTLED_AFTER = "3 minutes";

/**
 * Whether a row of `lotline.route_coverage` counts: what became due a moment ago may still be in
 * flight, and isn't missing.
 */
export function isSettled(sql: Sql): Statement {
  return sql`(what <> 'due' or minute < now() - ${SETTLED_AFTER}::interval)`;
}

/** The sums of `count` in these rows by one of their columns, as a jsonb object. */
export function sumsBy(sql: Sql, column: string, rows: Statement): Statement {
  return sql`(
    select coalesce(jsonb_object_agg(name, count), '{}') from (
      select ${sql(column)} as name, sum(count) as count from (${rows}) counted group by 1
    ) summed
  )`;
}
