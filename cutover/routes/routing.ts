import { z } from "zod";
import {
  isLegacyOperation,
  type Operation,
  operationById,
  OPERATIONS,
} from "../exchange/operations.ts";
import type { Mode, Route } from "../exchange/route.ts";

const MAX_WHO_CHARACTERS = 100;
const MAX_WHY_CHARACTERS = 500;

// PostgreSQL stores no NUL.
const text = (max: number) =>
  z.string().transform((value) => value.replaceAll("\0", "").trim())
    .pipe(z.string().min(1).max(max));

export const NoteForm = z.object({
  who: text(MAX_WHO_CHARACTERS),
  why: text(MAX_WHY_CHARACTERS),
});

/** Who changes a route, and why. */
export type Note = Readonly<z.output<typeof NoteForm>>;

/** A program's reason in a form that PostgreSQL accepts: no rollback may fail because of its text. */
export function storableReason(text: string): string {
  return storableText(text, MAX_WHY_CHARACTERS) || "no reason given";
}

/** A program's text in a form that PostgreSQL accepts, with at most `max` characters. */
export function storableText(text: string, max: number): string {
  const clean = text.toWellFormed().replaceAll("\0", "").trim();
  // By code points as PostgreSQL counts them, so that none is cut in half.
  return [...clean].slice(0, max).join("").trim();
}

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
  /** The server accepts no writes, as a standby. */
  readonly isReadOnly: boolean;
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

/** The route without a row: the old server gets the operations that it knows, Lotline the others. */
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
  const isReadOnly = rows[0]?.["read_only"] === true;
  return { routes, killed: parseKillSwitch(rows[0]), broken, isReadOnly };
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

/** A change of a route that was refused; the message says why. */
export class RouteRefusedError extends Error {
  override name = "RouteRefusedError";
}

/**
 * Why a route may not have this mode; undefined: it may.
 *
 * @param expectedEpoch the epoch on which the change is based; undefined: any
 */
export function refusalOf(
  route: StoredRoute,
  mode: Mode,
  killed: Note | undefined,
  expectedEpoch?: number,
): string | undefined {
  const { operation, latch } = route;
  if (!isPossible(operation, mode)) {
    return `${operation} is not in the old API: it can be on legacy or service, not ${mode.name}`;
  }
  if (expectedEpoch !== undefined && expectedEpoch !== route.epoch) return changedMeanwhile(route);
  // A return to the old server is always possible.
  if (mode.name === "legacy") return undefined;
  if (latch !== undefined) {
    return `${operation} was rolled back and is held until somebody clears it: ${latch}`;
  }
  return killed && `The kill switch is on (${killed.who}: ${killed.why}): until it is released, ` +
      `a route can only be set to legacy`;
}

export function changedMeanwhile({ operation, mode }: StoredRoute): string {
  return `${operation} was changed by somebody else meanwhile (it is on ${describeMode(mode)}): ` +
    `check it again`;
}
