import { CONNECT_TIMEOUT_MS } from "../../db/connect.ts";
import { onWrongServer, reportWrongServer } from "../../db/servers.ts";
import { openSession, type Session } from "../../db/session.ts";
import { describeError, type Log } from "../../log.ts";
import { delay } from "../../timing.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Route } from "../exchange/route.ts";
import {
  describeMode,
  type Note,
  onLegacy,
  parseRouting,
  type Routing,
  untouchedRoute,
} from "./routing.ts";
import { kill, readRoutes } from "./routes_table.ts";

const POLL_MS = 250;
/** After this time without a reading each route is on `legacy`. */
export const STALE_MS = 2_000;
/** After this time without a response from PostgreSQL a new connection is opened. */
const RESPONSE_TIMEOUT_MS = 1_500;
/** The delay after a failed connection, doubled each time up to `max`. */
const RETRY_MS = { first: 100, max: 1_000 };
/** PostgreSQL closes a session that is idle for this long. */
const IDLE_MS = 10_000;

/** The stored routes, read continuously until disposal. */
export type Modes = ReturnType<typeof followModes>;

/** `starting`: no reading yet; `away`: the last reading is too old. */
type Source = "starting" | "database" | "away";

/** Starts reading the routes; until the first reading each is on `legacy`. */
export function followModes({ databaseUrl, log }: { databaseUrl: string; log: Log }) {
  let reading = readingOf(NO_ROUTING, NEVER);
  let source: Source = "starting";
  let pendingKill: { readonly note: Note; readonly stored: PromiseWithResolvers<void> } | undefined;
  let failure: string | undefined;
  let session: Session | undefined;
  let isOver = false;
  let hasLeft = false;
  let wakeup = new AbortController();
  /** Waits until the next wakeup, which may have come since the last pause. */
  const pause = async (ms: number) => {
    await delay(ms, wakeup.signal);
    wakeup = new AbortController();
  };

  const onStale = () => {
    source = "away";
    log("warn", "routes_unknown", { error: failure });
  };
  let staleTimer = setTimeout(onStale, STALE_MS);

  const take = (routing: Routing, at: Moment) => {
    const next = readingOf(routing, at);
    if (source === "away") log("info", "routes_recovered");
    logChanges(reading, next, log);
    reading = next;
    source = "database";
    failure = undefined;
    clearTimeout(staleTimer);
    staleTimer = setTimeout(onStale, Math.max(0, STALE_MS - (performance.now() - at.at)));
  };

  const departing = onWrongServer(databaseUrl, () => {
    hasLeft = true;
    wakeup.abort();
  });

  /** Reads repeatedly over one session until it fails or leaves its server. */
  const follow = async ({ sql }: Session, onReading: () => void) => {
    const openedAt = performance.now();
    while (!isOver && !hasLeft) {
      const began = moment();
      const routing = await readRoutes(sql, RESPONSE_TIMEOUT_MS);
      // Its routes may be older than those of the server that has taken over.
      if (routing.isReadOnly) {
        reportWrongServer(databaseUrl, openedAt);
        throw new Error("the database is read-only");
      }
      take(routing, began);
      onReading();
      const storing = pendingKill;
      if (storing === undefined) {
        await pause(POLL_MS);
        continue;
      }
      await kill(sql, storing.note, RESPONSE_TIMEOUT_MS);
      // As the next reading will be, unless the switch is released before it.
      take({ ...reading.routing, killed: storing.note }, began);
      if (pendingKill === storing) pendingKill = undefined;
      storing.stored.resolve();
    }
  };

  const running = (async () => {
    let retryMs = RETRY_MS.first;
    while (!isOver) {
      hasLeft = false;
      session = openSession(databaseUrl, {
        name: "lotline-gateway-modes",
        statementTimeoutMs: RESPONSE_TIMEOUT_MS,
        lockTimeoutMs: RESPONSE_TIMEOUT_MS,
        idleTimeoutMs: IDLE_MS,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
      });
      try {
        await follow(session, () => retryMs = RETRY_MS.first);
      } catch (error) {
        failure = describeError(error);
      }
      // Not awaited: over a dead link it takes a second.
      close(session);
      if (!isOver && !hasLeft) await pause(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MS.max);
    }
  })();

  const isFresh = () => isRecent(reading, performance.now(), Date.now());
  return {
    /** The operation's route; on `legacy` without a reading within the last {@link STALE_MS}. */
    routeOf(operation: Operation): Route {
      // By the clocks: the timer may be late in a busy or suspended process.
      const routes = isFresh() && pendingKill === undefined ? reading.live : reading.legacy;
      return routes.get(operation) ?? untouchedRoute(operation);
    },
    /** What this process knows of the routes. */
    get state() {
      return {
        source: source === "database" && !isFresh() ? "away" : source,
        /** The last reading, whether or not it is too old. */
        routing: reading.routing,
        /** A kill in this process that isn't stored yet. */
        killedHere: pendingKill?.note,
        /** Whether a kill holds, here or in all gateways. */
        isKilled: pendingKill !== undefined || reading.routing.killed !== undefined,
      };
    },
    lookNow: () => wakeup.abort(),
    /**
     * Sets all routes to `legacy`: in this process at once, in the others when the kill is stored, which
     * resolves the promise. Never rejects.
     */
    kill(note: Note): Promise<void> {
      pendingKill ??= { note, stored: Promise.withResolvers<void>() };
      log("warn", "killed_in_this_process");
      wakeup.abort();
      return pendingKill.stored.promise;
    },
    /** Drops a kill that isn't stored yet; a stored one is released in the database. */
    clearKill: () => pendingKill = undefined,
    async [Symbol.asyncDispose]() {
      isOver = true;
      departing[Symbol.dispose]();
      clearTimeout(staleTimer);
      wakeup.abort();
      if (session !== undefined) await close(session);
      await running;
      clearTimeout(staleTimer);
    },
  };
}

/** When a query was sent. */
interface Moment {
  /** By `performance.now()`. */
  readonly at: number;
  /** By `Date.now()`, which continues while a machine is suspended. */
  readonly dayAt: number;
}

const moment = (): Moment => ({ at: performance.now(), dayAt: Date.now() });
const NEVER: Moment = { at: -Infinity, dayAt: -Infinity };

/**
 * Whether a reading is recent by both clocks: the monotonic one stops while a virtual machine is
 * suspended, and the system clock may be set back.
 */
export function isRecent(reading: Moment, now: number, dayNow: number): boolean {
  return now - reading.at < STALE_MS && dayNow - reading.dayAt < STALE_MS;
}

const NO_ROUTING: Routing = { ...parseRouting([]), killed: undefined };

type Reading = ReturnType<typeof readingOf>;

function readingOf(routing: Routing, moment: Moment) {
  const legacy = new Map([...routing.routes].map(([name, route]) => [name, onLegacy(route)]));
  const live = routing.killed === undefined ? routing.routes : legacy;
  return { routing, legacy, live, ...moment };
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

/** Closes a session in any state. Never rejects. */
async function close(session: Session): Promise<void> {
  await Promise.allSettled([session[Symbol.asyncDispose]()]);
}
