import { z } from "zod";
import type { Note } from "./note.ts";
import {
  isLegacyOperation,
  type Operation,
  operationById,
  OPERATIONS,
} from "../exchange/operations.ts";
import type { Mode, Route } from "../exchange/route.ts";

export interface StoredRoute extends Route {
  /** UTC text; undefined: never. */
  readonly changedAt: string | undefined;
}

/** All routes and the kill switch, as read from the database. */
export interface Routing {
  readonly routes: ReadonlyMap<Operation, StoredRoute>;
  /** Set while the kill switch is on; `routes` has the modes without it. */
  readonly killed: Note | undefined;
  /** Operations whose row can't be parsed: they are on `legacy`. */
  readonly broken: readonly Operation[];
}

/** A row for {@link parseRouting}; without a route its columns are null. */
export type RoutingRow = Readonly<Record<string, unknown>>;

/** The mode with this name and share; undefined: an invalid combination. */
export function modeOf(name: string, percent: number | undefined): Mode | undefined {
  if (name === "canary") {
    const isShare = percent !== undefined && Number.isInteger(percent) && percent >= 1 &&
      percent <= 99;
    return isShare ? { name, percent } : undefined;
  }
  if (percent !== undefined) return undefined;
  return name === "legacy" || name === "shadow" || name === "service" ? { name } : undefined;
}

/** The mode as text, such as `canary 10 %`. */
export function describeMode(mode: Mode): string {
  return mode.name === "canary" ? `canary ${mode.percent} %` : mode.name;
}

/** Whether an operation can be in this mode: only one that both upstreams know is compared. */
export function isPossible(operation: Operation, mode: Mode): boolean {
  return isLegacyOperation(operation) || mode.name === "legacy" || mode.name === "service";
}

export function onLegacy<R extends Route>(route: R): R {
  return route.mode.name === "legacy" ? route : { ...route, mode: { name: "legacy" } };
}

/** The route without a row: the old server answers the operations that it knows, Lotline the others. */
export function untouchedRoute(operation: Operation): StoredRoute {
  return {
    operation,
    mode: { name: isLegacyOperation(operation) ? "legacy" : "service" },
    epoch: 0,
    samplePercent: 100,
    latch: undefined,
    changedAt: undefined,
  };
}

const KillSwitchRow = z.object({
  killed: z.boolean(),
  killed_by: z.string(),
  killed_why: z.string(),
});

const RouteRow = z.object({
  operation: z.string(),
  mode: z.string(),
  canary_percent: z.number().nullable(),
  epoch: z.int().min(1),
  sample_percent: z.int().min(0).max(100),
  latch: z.string().nullable(),
  changed_at: z.string().nullable(),
});

/**
 * Parses the rows. A newer Lotline or a person may have changed the schema: a row that can't be parsed
 * is `legacy`, and without the row of the kill switch all routes are.
 */
export function parseRouting(rows: readonly RoutingRow[]): Routing {
  const routes = new Map(OPERATIONS.map(({ operation }) => [operation, untouchedRoute(operation)]));
  const broken: Operation[] = [];
  for (const row of rows) {
    const operation = operationById(row.operation);
    // Known to another version of Lotline only.
    if (operation === undefined) continue;
    const route = parseRoute(operation, row);
    if (route === undefined) broken.push(operation);
    routes.set(operation, route ?? onLegacy(untouchedRoute(operation)));
  }
  return { routes, killed: parseKillSwitch(rows[0]), broken };
}

/** The route in a row; undefined: it is invalid. */
export function parseRoute(operation: Operation, row: RoutingRow): StoredRoute | undefined {
  const { success, data } = RouteRow.safeParse(row);
  if (!success) return undefined;
  const mode = modeOf(data.mode, data.canary_percent ?? undefined);
  if (mode === undefined || !isPossible(operation, mode)) return undefined;
  if (data.latch !== null && mode.name !== "legacy") return undefined;
  return {
    operation,
    mode,
    epoch: data.epoch,
    samplePercent: data.sample_percent,
    latch: data.latch ?? undefined,
    changedAt: data.changed_at ?? undefined,
  };
}

function parseKillSwitch(row: RoutingRow | undefined): Note | undefined {
  const { success, data } = KillSwitchRow.safeParse(row);
  if (!success) return { who: "gateway", why: "the row of lotline.kill_switch can't be read" };
  return data.killed ? { who: data.killed_by, why: data.killed_why } : undefined;
}
