import type { Log } from "../log.ts";
import { delay } from "../timing.ts";
import type { ReadingRules } from "./moments.ts";
import type { Session } from "./session.ts";
import {
  findZones,
  openPlainSession,
  otherZones,
  readZones,
  TimeZoneError,
  type Zones,
} from "./time_zone_sources.ts";
import { isUtc } from "./zone_names.ts";

/** The time zone of times without an offset. Disposing closes its connection. */
export interface TimeZone extends Disposable {
  /**
   * Its name for PostgreSQL.
   * @throws when PostgreSQL is unavailable and the zone isn't known
   */
  name(): Promise<string>;
  /**
   * How PostgreSQL reads a time that isn't ISO 8601.
   * @throws as {@link name} does
   */
  rules(): Promise<ReadingRules>;
}

interface Deps {
  readonly databaseUrl: string;
  /** TIME_ZONE; undefined: the zone that PostgreSQL gives to a session of the address. */
  readonly setting: string | undefined;
  readonly log: Log;
}

/** The pause at the start until PostgreSQL is tried again, in ms. */
const RETRY_MS = 1_000;
/** PostgreSQL's settings are read again after this long, in ms. */
const LIFETIME_MS = 10 * 60_000;

/**
 * Reads the zone at once, until it succeeds, and logs it. It is known as long as the connection that
 * had it, and {@link LIFETIME_MS} at most: a change in PostgreSQL then counts, as it does for a new
 * connection of the old server.
 */
export function createTimeZone(
  { databaseUrl, setting, log }: Deps,
  lifetimeMs = LIFETIME_MS,
): TimeZone {
  const end = new AbortController();
  let reading: Promise<ReadingRules> | undefined;
  let held:
    | { readonly session: Session; readonly renewal: ReturnType<typeof setTimeout> }
    | undefined;
  let logged = "";

  const forget = () => {
    const { session, renewal } = held ?? {};
    held = reading = undefined;
    clearTimeout(renewal);
    void session?.[Symbol.asyncDispose]();
  };

  const renew = () => {
    forget();
    known().catch(() => {});
  };

  const read = async (): Promise<ReadingRules> => {
    const session = openPlainSession(databaseUrl, () => {
      if (held?.session === session) forget();
    });
    try {
      const rules = note(await readZones(session.sql, setting));
      if (session.isUsable) held = { session, renewal: setTimeout(renew, lifetimeMs) };
      if (!session.isUsable || end.signal.aborted) forget();
      return rules;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  };

  const note = (zones: Zones): ReadingRules => {
    const text = JSON.stringify([zones.zone, zones.source, otherZones(zones)]);
    if (text !== logged) logZones(log, zones);
    logged = text;
    return zones;
  };

  const known = () =>
    reading ??= read().catch((error) => {
      reading = undefined;
      throw error;
    });

  void untilRead(known, log, end.signal);
  return {
    name: async () => setting !== undefined && isUtc(setting) ? setting : (await known()).zone,
    rules: known,
    [Symbol.dispose]: () => {
      end.abort();
      forget();
    },
  };
}

/** Logs the time zone once, as soon as PostgreSQL is available. */
export async function noteTimeZone(
  { databaseUrl, setting, log }: Deps,
  signal: AbortSignal,
): Promise<void> {
  await untilRead(async () => logZones(log, await findZones(databaseUrl, setting)), log, signal);
}

async function untilRead(
  read: () => Promise<unknown>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await read();
      return;
    } catch (error) {
      if (!(error instanceof TimeZoneError)) await delay(RETRY_MS, signal);
      else return log("error", "time_zone_unknown", { zone: error.zone });
    }
  }
}

function logZones(log: Log, zones: Zones): void {
  const { zone, source } = zones;
  // A role may have the name of a person.
  const others = otherZones(zones, () => "another role");
  log("info", "time_zone", { zone, source });
  if (others !== undefined) log("warn", "time_zones_differ", { zone, source, others });
}
