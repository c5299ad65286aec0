import { z } from "zod";
import type { Note } from "./note.ts";
import {
  isLegacyOperation,
  type Operation,
  operationById,
  OPERATIONS,
} from "../exchange/operations.ts";
import type { Mode, Route } from "../exchange/route.ts";

/** A route as it is stored. */
export interface StoredRoute extends Route {
  /** UTC text; absent: it never was changed. */
  readonly changedAt: string | undefined;
}

/** What the database says of all routes. */
export interface Routing {
  /** Every operation's. */
  readonly routes: ReadonlyMap<Operation, StoredRoute>;
  /** Who has put all routes on `legacy`, if that is so; `routes` says what they would be without. */
  readonly killed: Note | undefined;
  /** Operations whose row says nothing that this program understands: they are on `legacy`. */
  readonly broken: readonly Operation[];
}

/** Columns of a row that {@link parseRouting} reads; those of the route are null without one. */
export type RoutingRow = Readonly<Record<string, unknown>>;

/** The mode with this name and share, if they go together. */
export function modeOf(name: string, percent: number | undefined): Mode | undefined {
  if (name === "canary") {
    const isShare = percent !== undefined && Number.isInteger(percent) && percent >= 1 &&
      percent <= 99;
    return isShare ? { name, percent } : undefined;
  }
  if (percent !== undefined) return undefined;
  return name === "legacy" || name === "shadow" || name === "service" ? { name } : undefined;
}

/** What goes with {@link modeOf}: `canary 10 %`. */
export function describeMode(mode: Mode): string {
  return mode.name === "canary" ? `canary ${mode.percent} %` : mode.name;
}

/** Whether an operation can be in this mode: with only one server that knows it, nothing compares. */
export function isPossible(operation: Operation, mode: Mode): boolean {
  return isLegacyOperation(operation) || mode.name === "legacy" || mode.name === "service";
}

/** The same route while the old server answers all its requests. */
export function onLegacy<R extends Route>(route: R): R {
  return route.mode.name === "legacy" ? route : { ...route, mode: { name: "legacy" } };
}

/**
 * A route that nobody has ever changed. The old server has what it knows; what only Lotline has,
 * Lotline answers.
 */
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
 * Makes sense of what was read. The schema lets nothing else in, but a newer Lotline may have changed
 * it, or a hand: what isn't understood is `legacy`, and so is everything without a kill switch.
 */
export function parseRouting(rows: readonly RoutingRow[]): Routing {
  const routes = new Map(OPERATIONS.map(({ operation }) => [operation, untouchedRoute(operation)]));
  const broken: Operation[] = [];
  for (const row of rows) {
    const operation = operationById(row.operation);
    // One that only another version of Lotline knows.
    if (operation === undefined) continue;
    const route = parseRoute(operation, row);
    if (route === undefined) broken.push(operation);
    routes.set(operation, route ?? onLegacy(untouchedRoute(operation)));
  }
  return { routes, killed: parseKillSwitch(rows[0]), broken };
}

/** The route in a row, unless it makes no sense. */
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
