import type { Sql } from "../../db/sql.ts";
import { timed } from "../../db/query_deadline.ts";
import type { Note } from "./note.ts";

/*
 * `lotline.kill_switch`: one row that overrides all of `lotline.routes` and is read with them. Each
 * change is one statement, including its rows in `lotline.route_changes`.
 */

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
