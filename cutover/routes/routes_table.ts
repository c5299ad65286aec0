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
  /** The change is a step of this plan: made only while the process carries it out, and noted in it. */
  readonly plan?: CarriedPlan;
}

/** A row of `lotline.plans`, and the process that holds its lease. */
export interface CarriedPlan {
  readonly id: string;
  readonly holder: string;
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
  const held = await returnToLegacy(sql, [operation], note, { epoch, latch: reason });
  return held.length > 0;
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
  { who, why, plan }: Pick<RouteChange, "who" | "why" | "plan">,
): Promise<ChangedRoute> {
  const { operation } = from;
  const epoch = what === "set" ? from.epoch + 1 : Math.max(1, from.epoch);
  const isResampled = to.samplePercent !== from.samplePercent;
  // The lock waits for a kill in progress.
  const mayBeKilled = what === "sample" || to.mode.name === "legacy";
  // In the same statement, so that a plan never loses its own step, and makes none after its end.
  const carried = plan && sql`
    , carried as (
      select id from lotline.plans
      where id = ${plan.id}::bigint and holder = ${plan.holder}::uuid and ended_at is null for update
    )`;
  const noted = plan && sql`
    , noted as (
      update lotline.plans set epoch = changed.epoch, since = now()
      from changed where id = ${plan.id}::bigint
    )`;
  const [row] = await timed(sql)<RoutingRow[]>`
    with switch as (
      select single from lotline.kill_switch where not killed or ${mayBeKilled}::bool for share
    ) ${carried ?? sql``}, changed as (
      insert into lotline.routes as route
        (operation, mode, canary_percent, epoch, sample_percent)
      select ${operation}, ${to.mode.name}, ${percentOf(to.mode)}::smallint, ${epoch}::int,
        ${to.samplePercent}::smallint
      from switch ${plan ? sql`cross join carried` : sql``}
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
    ) ${noted ?? sql``}
    select * from changed`;
  if (row !== undefined) {
    const route = parseRoute(operation, row);
    if (route === undefined) throw new Error(`${operation} was stored with other values`);
    return { route, changed: true };
  }
  const { route, killed } = await readState(sql, operation);
  throw new RouteRefusedError(refusalOf(route, to.mode, killed) ?? changedMeanwhile(route));
}

/** A route that a person has rolled back. */
export interface HeldRoute {
  readonly operation: Operation;
  /** False: it was on `legacy` already. */
  readonly moved: boolean;
}

/**
 * Returns routes to `legacy` and latches them, also those that are there already, so that no plan
 * moves them before a person clears them. Routes that are latched already are left out.
 */
export async function rollBackByHand(
  sql: Sql,
  operations: readonly Operation[],
  note: Note,
): Promise<HeldRoute[]> {
  const latch = storableReason(`${note.who}: ${note.why}`);
  // A route that is set for the first time meanwhile has a row the second time.
  const held = await returnToLegacy(sql, operations, note, { latch });
  return [...held, ...await returnToLegacy(sql, operations, note, { latch })];
}

/** @param cause without an epoch, an operator returns them, whatever their epoch */
async function returnToLegacy(
  sql: Sql,
  operations: readonly Operation[],
  { who, why }: Note,
  { latch, epoch }: { readonly latch: string; readonly epoch?: number },
): Promise<HeldRoute[]> {
  const isAutomatic = epoch !== undefined;
  const added = isAutomatic ? [] : operations;
  const onService = added.filter((one) => !isLegacyOperation(one));
  return await timed(sql)<HeldRoute[]>`
    with old as (
      select operation, mode, canary_percent from lotline.routes
      where operation = any (${listLiteral(operations)}::text[])
        and (mode <> 'legacy' or (latch is null and not ${isAutomatic}::bool))
        and epoch = coalesce(${epoch ?? null}::int, epoch)
      order by operation for update
    ), changed as (
      update lotline.routes route set
        mode = 'legacy', canary_percent = null, latch = ${latch}, changed_at = now(),
        epoch = route.epoch + case old.mode when 'legacy' then 0 else 1 end
      from old where route.operation = old.operation
      returning route.operation, old.mode, route.epoch,
        case old.mode when 'canary' then old.canary_percent end as canary_percent
    ), first as (
      insert into lotline.routes (operation, mode, epoch, sample_percent, latch)
      select operation, 'legacy', 1, 100, ${latch}
      from unnest(${listLiteral(added)}::text[]) operation
      order by operation
      on conflict (operation) do nothing
      returning operation, epoch
    )
    insert into lotline.route_changes
      (what, operation, from_mode, from_percent, to_mode, epoch, who, why, automatic)
    select 'rollback', operation, mode, canary_percent, 'legacy', epoch, ${who}, ${why},
      ${isAutomatic}::bool
    from (
      select operation, mode, canary_percent, epoch from changed
      union all
      -- Without a row, an operation that only Lotline has is on service.
      select operation,
        case when operation = any (${
    listLiteral(onService)
  }::text[]) then 'service' else 'legacy' end,
        null, epoch
      from first
    ) moved
    order by operation
    returning operation, from_mode <> 'legacy' as moved`;
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
