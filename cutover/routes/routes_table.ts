import { timed } from "../../db/query_deadline.ts";
import type { Sql } from "../../db/sql.ts";
import { isLegacyOperation, type Operation, OPERATIONS } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import {
  changedMeanwhile,
  describeMode,
  type Note,
  parseRoute,
  parseRouting,
  refusalOf,
  RouteRefusedError,
  type Routing,
  type RoutingRow,
  storableReason,
  type StoredRoute,
} from "./routing.ts";

/*
 * `lotline.routes`, and `lotline.kill_switch`: one row that overrides them all and is read with them.
 * Every change is one statement, including its rows in `lotline.route_changes`. A move to Lotline
 * succeeds only if the route hasn't changed since it was read; a return always succeeds.
 */

export interface RouteChange extends Note {
  readonly operation: Operation;
  /** Undefined: unchanged. */
  readonly mode?: Mode;
  /** From 0 to 100 in %; undefined: unchanged. */
  readonly samplePercent?: number | undefined;
  /** The epoch on which the change is based; undefined: the current one. */
  readonly expectedEpoch?: number | undefined;
}

export interface ChangedRoute {
  readonly route: StoredRoute;
  /** False: the route had these values already, and nothing is recorded. */
  readonly changed: boolean;
}

const ROUTE_COLUMNS = (sql: Sql) =>
  sql`operation, mode, canary_percent, epoch, sample_percent, latch, changed_at`;

const listLiteral = (operations: readonly Operation[]) => `{${operations.join(",")}}`;
const KNOWN = listLiteral(OPERATIONS.map(({ operation }) => operation));

/** Reads all routes and the kill switch in one statement. */
export async function readRoutes(sql: Sql, deadlineMs?: number): Promise<Routing> {
  const rows = await timed(sql, deadlineMs)<RoutingRow[]>`
    select current_setting('transaction_read_only') = 'on' as read_only, switch.killed, switch.who as killed_by, switch.why as killed_why, route.*
    from (select) as always
    left join lotline.kill_switch switch on true
    left join (
      select ${ROUTE_COLUMNS(sql)} from lotline.routes where operation = any (${KNOWN}::text[])
    ) route on true`;
  return parseRouting(rows);
}

/**
 * Sets a route's mode, the share of its requests that is compared, or both.
 * @throws {RouteRefusedError} when the route may not have it, or was changed at the same time
 */
export async function setMode(sql: Sql, change: RouteChange): Promise<ChangedRoute> {
  const { operation, expectedEpoch } = change;
  const { route, killed } = await readState(sql, operation);
  const { mode = route.mode, samplePercent = route.samplePercent } = change;
  const refusal = change.mode && refusalOf(route, mode, killed, expectedEpoch);
  if (refusal !== undefined) throw new RouteRefusedError(refusal);
  const isMoved = describeMode(route.mode) !== describeMode(mode);
  if (!isMoved && samplePercent === route.samplePercent) return { route, changed: false };
  return await replace(sql, isMoved ? "set" : "sample", route, { mode, samplePercent }, change);
}

/**
 * Returns a route to `legacy` and latches it, on the evidence of one epoch. False: that epoch is over,
 * and nothing changed.
 */
export async function rollBack(
  sql: Sql,
  { operation, epoch, why }: Pick<StoredRoute, "operation" | "epoch"> & Pick<Note, "why">,
): Promise<boolean> {
  const reason = storableReason(why);
  const note = { who: "gateway", why: reason };
  const moved = await returnToLegacy(sql, [operation], note, { epoch, latch: reason });
  return moved.length > 0;
}

/** Lets a latched route be moved again. False: it wasn't latched. */
export async function clearLatch(
  sql: Sql,
  { operation, who, why }: Note & { readonly operation: Operation },
): Promise<boolean> {
  const rows = await timed(sql)`
    with cleared as (
      update lotline.routes set latch = null, changed_at = now()
      where operation = ${operation} and latch is not null
      returning operation, epoch
    )
    insert into lotline.route_changes
      (what, operation, from_mode, to_mode, epoch, who, why, automatic)
    select 'clear', operation, 'legacy', 'legacy', epoch, ${who}, ${why}, false from cleared
    returning id`;
  return rows.length > 0;
}

async function readState(sql: Sql, operation: Operation) {
  const { routes, killed, broken } = await readRoutes(sql);
  if (broken.includes(operation)) {
    throw new RouteRefusedError(`The row of ${operation} can't be read: roll it back first`);
  }
  const route = routes.get(operation);
  if (route === undefined) throw new Error(`${operation} is no operation of the contract`);
  return { route, killed };
}

const percentOf = (mode: Mode) => mode.name === "canary" ? mode.percent : null;

/** Replaces a route if it still equals `from` and the kill switch allows it. */
async function replace(
  sql: Sql,
  what: "set" | "sample",
  from: StoredRoute,
  to: Pick<StoredRoute, "mode" | "samplePercent">,
  { who, why }: Note,
): Promise<ChangedRoute> {
  const { operation } = from;
  const epoch = what === "set" ? from.epoch + 1 : Math.max(1, from.epoch);
  const isResampled = to.samplePercent !== from.samplePercent;
  // The lock waits for a kill in progress.
  const mayBeKilled = what === "sample" || to.mode.name === "legacy";
  const [row] = await timed(sql)<RoutingRow[]>`
    with switch as (
      select single from lotline.kill_switch where not killed or ${mayBeKilled}::bool for share
    ), changed as (
      insert into lotline.routes as route
        (operation, mode, canary_percent, epoch, sample_percent)
      select ${operation}, ${to.mode.name}, ${percentOf(to.mode)}::smallint, ${epoch}::int,
        ${to.samplePercent}::smallint
      from switch
      where ${from.epoch}::int = 0
        or exists (select from lotline.routes where operation = ${operation})
      on conflict (operation) do update set
        mode = excluded.mode, canary_percent = excluded.canary_percent,
        epoch = excluded.epoch, sample_percent = excluded.sample_percent, changed_at = now()
      where route.epoch = ${from.epoch}::int
        and route.sample_percent = ${from.samplePercent}::smallint
        and route.latch is not distinct from ${from.latch ?? null}
      returning ${ROUTE_COLUMNS(sql)}
    ), recorded as (
      insert into lotline.route_changes (
        what, operation, from_mode, from_percent, to_mode, to_percent, from_sample, to_sample,
        epoch, who, why, automatic
      )
      select ${what}, operation, ${from.mode.name}, ${percentOf(from.mode)}::smallint,
        mode, canary_percent,
        ${isResampled ? from.samplePercent : null}::smallint,
        ${isResampled ? to.samplePercent : null}::smallint,
        epoch, ${who}, ${why}, false
      from changed
    )
    select * from changed`;
  if (row !== undefined) {
    const route = parseRoute(operation, row);
    if (route === undefined) throw new Error(`${operation} was stored with other values`);
    return { route, changed: true };
  }
  const { route, killed } = await readState(sql, operation);
  throw new RouteRefusedError(refusalOf(route, to.mode, killed) ?? changedMeanwhile(route));
}

/**
 * Returns routes to `legacy`, and returns those that weren't there. An operation that only Lotline has
 * needs a row for that: without one it is on `service`.
 *
 * @param automatic without it, an operator returns them
 */
export async function returnToLegacy(
  sql: Sql,
  operations: readonly Operation[],
  { who, why }: Note,
  automatic?: { readonly epoch: number; readonly latch: string },
): Promise<Operation[]> {
  const added = automatic === undefined ? operations.filter((one) => !isLegacyOperation(one)) : [];
  const rows = await timed(sql)<{ operation: Operation }[]>`
    with old as (
      select operation, mode, canary_percent from lotline.routes
      where operation = any (${listLiteral(operations)}::text[]) and mode <> 'legacy'
        and epoch = coalesce(${automatic?.epoch ?? null}::int, epoch)
      order by operation for update
    ), first as (
      insert into lotline.routes as route (operation, mode, epoch, sample_percent)
      select operation, 'legacy', 1, 100 from unnest(${listLiteral(added)}::text[]) operation
      where operation not in (select operation from old)
      order by operation
      on conflict (operation) do update set
        mode = 'legacy', epoch = route.epoch + 1, changed_at = now()
      where route.mode <> 'legacy'
      returning operation, epoch
    ), changed as (
      update lotline.routes route set
        mode = 'legacy', canary_percent = null, epoch = route.epoch + 1,
        latch = ${automatic?.latch ?? null}, changed_at = now()
      from old where route.operation = old.operation
      returning route.operation, old.mode, route.epoch,
        case old.mode when 'canary' then old.canary_percent end as canary_percent
    )
    insert into lotline.route_changes
      (what, operation, from_mode, from_percent, to_mode, epoch, who, why, automatic)
    select 'rollback', operation, mode, canary_percent, 'legacy', epoch, ${who}, ${why},
      ${automatic !== undefined}::bool
    from (
      select operation, mode, canary_percent, epoch from changed
      union all select operation, 'service', null, epoch from first
    ) moved
    order by operation
    returning operation`;
  return rows.map(({ operation }) => operation);
}

/** Sets all routes to `legacy` until the switch is released. False: it was on already. */
export async function kill(sql: Sql, { who, why }: Note, deadlineMs?: number): Promise<boolean> {
  const rows = await timed(sql, deadlineMs)`
    with switched as (
      insert into lotline.kill_switch as switch (killed, who, why) values (true, ${who}, ${why})
      on conflict (single) do update set
        killed = true, who = excluded.who, why = excluded.why, changed_at = now()
      where not switch.killed
      returning single
    )
    insert into lotline.route_changes (
      what, operation, from_mode, from_percent, to_mode, epoch, who, why, automatic
    )
    select 'kill', null as operation, null, null::smallint, null, null::int, ${who}, ${why}, false
    from switched
    union all
    select 'kill', operation, mode, canary_percent, 'legacy', epoch, ${who}, ${why}, false
    from switched cross join lotline.routes where mode <> 'legacy'
    order by operation nulls first
    returning id`;
  return rows.length > 0;
}

/**
 * Restores the routes' modes in a new epoch, since evidence from the time on `legacy` doesn't count for
 * them. False: the switch was off.
 */
export async function release(sql: Sql, { who, why }: Note): Promise<boolean> {
  const rows = await timed(sql)`
    with switched as (
      insert into lotline.kill_switch as switch (killed, who, why) values (false, ${who}, ${why})
      on conflict (single) do update set
        killed = false, who = excluded.who, why = excluded.why, changed_at = now()
      where switch.killed
      returning single
    ), moved as (
      select operation from switched cross join lotline.routes
      where mode <> 'legacy' order by operation for update of routes
    ), resumed as (
      update lotline.routes route set epoch = route.epoch + 1, changed_at = now()
      from moved where route.operation = moved.operation and route.mode <> 'legacy'
      returning route.operation, route.mode, route.canary_percent, route.epoch
    )
    insert into lotline.route_changes (
      what, operation, from_mode, to_mode, to_percent, epoch, who, why, automatic
    )
    select 'release', null as operation, null, null, null::smallint, null::int, ${who}, ${why}, false
    from switched
    union all
    select 'release', operation, 'legacy', mode, canary_percent, epoch, ${who}, ${why}, false
    from resumed
    order by operation nulls first
    returning id`;
  return rows.length > 0;
}
