import { openSession, type Session } from "../../db/session.ts";
import { describeError, type Log } from "../../log.ts";
import type { Note } from "./note.ts";
import { type Operation, OPERATIONS } from "../exchange/operations.ts";
import type { Route } from "../exchange/route.ts";
import { describeMode, onLegacy, type Routing, untouchedRoute } from "./routing.ts";
import { kill } from "./kill_switch.ts";
import { readRoutes } from "./routes_table.ts";

/** How often the routes are read, in ms. */
const POLL_MS = 250;
/** So old, in ms, may be what is known of the routes; after that each of them is on `legacy`. */
export const STALE_MS = 2_000;
/** PostgreSQL is given so long for an answer, in ms; then a new connection is tried. */
const RESPONSE_TIMEOUT_MS = 1_500;
/** Between two connections that fail, in ms: twice as long each time, up to the second. */
const RETRY_MS = { first: 100, max: 1_000 };
/** PostgreSQL ends a connection whose process says nothing for so long, in ms. */
const IDLE_MS = 10_000;

/** What this process goes by. */
export interface ModesState {
  /** `starting`: nothing is known yet; `away`: PostgreSQL doesn't tell the routes any more. */
  readonly source: "starting" | "database" | "away";
  /** The stored routes as they were read last, whether or not they are gone by. */
  readonly routing: Routing;
  /** Who has killed all routes in this process alone, as PostgreSQL could not be told yet. */
  readonly killedHere: Note | undefined;
}

/** Follows the routes that are stored; disposing ends it. */
export interface Modes extends AsyncDisposable {
  /**
   * How a request is to be dealt with. `legacy` as long as PostgreSQL hasn't said otherwise within the
   * last {@link STALE_MS}.
   */
  routeOf(operation: Operation): Route;
  readonly state: ModesState;
  /** Reads the routes now instead of within {@link POLL_MS}. */
  lookNow(): void;
  /**
   * Puts all routes on `legacy`, in this process at once and in the others as soon as PostgreSQL can
   * be told. Resolves when it is stored; never rejects.
   */
  kill(note: Note): Promise<void>;
  /** Drops a kill that PostgreSQL could not be told; one that is stored is released there. */
  clearKill(): void;
}

interface Reading {
  readonly routing: Routing;
  readonly live: ReadonlyMap<Operation, Route>;
  readonly legacy: ReadonlyMap<Operation, Route>;
  /** When it was asked for: what it says may be as old as that. By `performance.now()`. */
  readonly at: number;
  /** The same by the clock of the day, which goes on while a machine is paused. */
  readonly dayAt: number;
}

/** Begins to follow the routes; until the first reading each is on `legacy`. Never rejects. */
export function followModes(
  { databaseUrl, log }: { readonly databaseUrl: string; readonly log: Log },
): Modes {
  let reading = readingOf(NOTHING_KNOWN, NEVER);
  let source: ModesState["source"] = "starting";
  let held: { readonly note: Note; readonly stored: PromiseWithResolvers<void> } | undefined;
  let failure: string | undefined;
  let session: Session | undefined;
  let isOver = false;
  const nap = createNap();

  const giveUp = () => {
    source = "away";
    log("warn", "routes_unknown", { error: failure });
  };
  let staleTimer = setTimeout(giveUp, STALE_MS);

  const take = (routing: Routing, at: Moment) => {
    const next = readingOf(routing, at);
    if (source === "away") log("info", "routes_recovered");
    logChanges(reading, next, log);
    reading = next;
    source = "database";
    failure = undefined;
    clearTimeout(staleTimer);
    staleTimer = setTimeout(giveUp, Math.max(0, STALE_MS - (performance.now() - at.at)));
  };

  /** Reads again and again over one connection, until it fails. */
  const follow = async ({ sql }: Session, onReading: () => void) => {
    while (!isOver) {
      const began = moment();
      take(await readRoutes(sql, RESPONSE_TIMEOUT_MS), began);
      onReading();
      const telling = held;
      if (telling === undefined) {
        await nap.take(POLL_MS);
        continue;
      }
      await kill(sql, telling.note, RESPONSE_TIMEOUT_MS);
      // As the next reading will say, unless somebody has released the switch before it.
      take({ ...reading.routing, killed: telling.note }, began);
      if (held === telling) held = undefined;
      telling.stored.resolve();
    }
  };

  const running = (async () => {
    let retryMs = RETRY_MS.first;
    while (!isOver) {
      session = openSession(databaseUrl, {
        name: "lotline-gateway-modes",
        statementTimeoutMs: RESPONSE_TIMEOUT_MS,
        lockTimeoutMs: RESPONSE_TIMEOUT_MS,
        idleTimeoutMs: IDLE_MS,
      });
      try {
        await follow(session, () => retryMs = RETRY_MS.first);
      } catch (error) {
        failure = describeError(error);
      }
      // Not waited for: over a link that carries nothing it takes a second.
      close(session);
      if (!isOver) await nap.take(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MS.max);
    }
  })();

  const isFresh = () => isRecent(reading, performance.now(), Date.now());
  return {
    routeOf(operation) {
      // By the clock, not by the timer: that may be late in a process that was stopped or is busy.
      const routes = isFresh() && held === undefined ? reading.live : reading.legacy;
      return routes.get(operation) ?? untouchedRoute(operation);
    },
    get state() {
      const now = source === "database" && !isFresh() ? "away" : source;
      return { source: now, routing: reading.routing, killedHere: held?.note };
    },
    lookNow: () => nap.end(),
    kill(note) {
      held ??= { note, stored: Promise.withResolvers<void>() };
      log("warn", "killed_in_this_process");
      nap.end();
      return held.stored.promise;
    },
    clearKill: () => held = undefined,
    async [Symbol.asyncDispose]() {
      isOver = true;
      clearTimeout(staleTimer);
      nap.end();
      if (session !== undefined) await close(session);
      await running;
      clearTimeout(staleTimer);
    },
  };
}

type Moment = Pick<Reading, "at" | "dayAt">;

const moment = (): Moment => ({ at: performance.now(), dayAt: Date.now() });
const NEVER: Moment = { at: -Infinity, dayAt: -Infinity };

/**
 * Whether a reading may be gone by. Both clocks have to say so: the one that never goes back stands
 * still while a virtual machine is paused, and the clock of the day may be set back.
 */
export function isRecent(reading: Moment, now: number, dayNow: number): boolean {
  return now - reading.at < STALE_MS && dayNow - reading.dayAt < STALE_MS;
}

const NOTHING_KNOWN: Routing = {
  routes: new Map(OPERATIONS.map(({ operation }) => [operation, untouchedRoute(operation)])),
  killed: undefined,
  broken: [],
};

function readingOf(routing: Routing, { at, dayAt }: Moment): Reading {
  const legacy = new Map([...routing.routes].map(([name, route]) => [name, onLegacy(route)]));
  return {
    routing,
    at,
    dayAt,
    legacy,
    live: routing.killed === undefined ? routing.routes : legacy,
  };
}

function logChanges(before: Reading, after: Reading, log: Log): void {
  const { killed, broken } = after.routing;
  if (killed !== undefined && before.routing.killed === undefined) {
    log("warn", "kill_switch_on");
  }
  if (killed === undefined && before.routing.killed !== undefined) {
    log("info", "kill_switch_off");
  }
  for (const operation of broken) {
    if (before.routing.broken.includes(operation)) continue;
    log("error", "route_unreadable", { operation });
  }
  for (const [operation, { mode, epoch }] of after.live) {
    const old = before.live.get(operation);
    if (old === undefined || describeMode(old.mode) === describeMode(mode)) continue;
    log("info", "route_changed", { operation, mode: describeMode(mode), epoch });
  }
}

/** Ends a connection, in whatever state it is. Never rejects. */
async function close(session: Session): Promise<void> {
  try {
    await session[Symbol.asyncDispose]();
  } catch {
    // It has ended by itself.
  }
}

/** A pause that others can end. An end that comes between two pauses counts for the next one. */
function createNap() {
  let wake: (() => void) | undefined;
  let isWoken = false;
  return {
    take: (ms: number) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(() => wake?.(), isWoken ? 0 : ms);
        wake = () => {
          clearTimeout(timer);
          wake = undefined;
          isWoken = false;
          resolve();
        };
      }),
    end: () => {
      isWoken = true;
      wake?.();
    },
  };
}
