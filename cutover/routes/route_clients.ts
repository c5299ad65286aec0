import { z } from "zod";
import type { Sql, Statement } from "../../db/sql.ts";
import { timed } from "../../db/query_deadline.ts";
import { type MovedShare, ShareForm } from "./moved_share.ts";
import { LEGACY_OPERATIONS, OLD_OPERATIONS_ARRAY } from "../exchange/operations.ts";

/* `lotline.route_clients`: the clients that each upstream responded to. */

/** Selects the rows of a table of evidence that belong to the epoch of `route`. */
export function ofEpoch(sql: Sql, table: string): Statement {
  return sql`
    select * from ${sql(table)} counts
    where counts.operation = route.operation and counts.epoch = route.epoch`;
}

/** The same of `lotline.route_clients`. */
export function clientsOf(sql: Sql): Statement {
  return sql`${ofEpoch(sql, "lotline.route_clients")} and side in ('legacy', 'service')`;
}

/**
 * Selects the {@link MovedShare} of rows of `lotline.route_clients` as the jsonb `share`, and all their
 * clients as `seen`.
 */
export function sharesOf(sql: Sql, rows: Statement): Statement {
  return sql`
    select jsonb_build_object(
      'requests', coalesce(sum(requests), 0),
      'movedRequests', coalesce(sum(requests) filter (where side = 'service'), 0),
      'clients', coalesce(bit_count(bit_or(buckets)), 0),
      'movedClients', coalesce(bit_count(bit_or(buckets) filter (where side = 'service')), 0)
    ) as share, bit_or(buckets) as seen
    from (${rows}) rows`;
}

const Row = z.object({ operation: z.enum(LEGACY_OPERATIONS), epoch: z.int(), share: ShareForm });
const SeenRow = Row.extend({ below: z.array(z.number()) });
const StepRow = Row.extend({ percent: z.number(), since: z.iso.datetime() });

/** The clients of a route in its current epoch. */
export type SeenClients = Readonly<z.output<typeof SeenRow>>;

/** The clients of every old operation's route that has had some in its current epoch. */
export async function listSeenClients(sql: Sql): Promise<SeenClients[]> {
  const rows = await timed(sql)`
    select operation, epoch, share, below
    from lotline.routes route
    cross join lateral (${sharesOf(sql, clientsOf(sql))}) share_
    cross join lateral (
      select jsonb_agg(bit_count(substring(seen from 1 for percent * 100)) order by percent)
        as below
      from generate_series(0, 100) percent
    ) below_
    where operation = any (${OLD_OPERATIONS_ARRAY}::text[]) and seen is not null
    order by operation`;
  return rows.map((row) => SeenRow.parse(row));
}

/** A canary step of a route, and the share that it moved. */
export type MovedStep = Omit<z.output<typeof StepRow>, "share"> & MovedShare;

/** Of each route, the newest. */
const MAX_STEPS = 100;

/** The shares that the canary steps of a period moved, oldest first. */
export async function listMovedSteps(
  sql: Sql,
  { since, until, deadlineMs }: {
    readonly since: string;
    readonly until: string;
    readonly deadlineMs?: number;
  },
): Promise<MovedStep[]> {
  const clients = sql`
    ${clientsOf(sql)} and minute >= date_trunc('day', ${since}::timestamptz) and minute < ${until}`;
  const rows = await timed(sql, deadlineMs)`
    select operation, epoch, percent, since, share
    from (
      select operation, epoch, to_percent as percent, at as since,
        row_number() over (partition by operation order by id desc) as place
      from lotline.route_changes
      where operation = any (${OLD_OPERATIONS_ARRAY}::text[]) and what = 'set' and to_mode = 'canary'
        and at < ${until}
    ) route
    cross join lateral (${sharesOf(sql, clients)}) share_
    where place <= ${MAX_STEPS} and (share ->> 'requests')::bigint > 0
    order by operation, place desc`;
  return rows.map((row) => {
    const { share, ...step } = StepRow.parse(row);
    return { ...step, ...share };
  });
}
