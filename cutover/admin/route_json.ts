import type { Modes } from "../routes/watch_routes.ts";
import type { Route } from "../exchange/route.ts";
import type { Routing, StoredRoute } from "../routes/routing.ts";

/*
 * Routes as the admin API and `deno task cutover --json` show them.
 */

/** A route with its stored mode, which the kill switch overrides. */
export function routeJson(route: StoredRoute) {
  return {
    operation: route.operation,
    mode: route.mode.name,
    canary_percent: percentOf(route),
    sample_percent: route.samplePercent,
    epoch: route.epoch,
    latch: route.latch ?? null,
    changed_at: route.changedAt ?? null,
  };
}

/** All that is stored of the routes. */
export function routingJson({ routes, killed, broken }: Routing) {
  return {
    kill_switch: killed === undefined ? { killed: false } : { killed: true, ...killed },
    routes: [...routes.values()].map(routeJson),
    broken,
  };
}

/** The stored routes, and the effective ones of this gateway process. */
export function stateJson({ state, routeOf }: Modes) {
  const { routes, ...rest } = routingJson(state.routing);
  return {
    source: state.source,
    ...rest,
    killed_here: state.killedHere ?? null,
    routes: routes.map((stored) => {
      const effective = routeOf(stored.operation);
      return {
        ...stored,
        effective: { mode: effective.mode.name, canary_percent: percentOf(effective) },
      };
    }),
  };
}

const percentOf = ({ mode }: Route) => mode.name === "canary" ? mode.percent : null;
