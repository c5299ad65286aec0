import { isRefusedValue } from "./pg_errors.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import { openSession, type Session } from "./session.ts";
import type { Sql } from "./sql.ts";
import { isSameZone } from "./zone_names.ts";

/** PostgreSQL doesn't know the time zone of the setting. */
export class TimeZoneError extends Error {
  override name = "TimeZoneError";

  constructor(readonly zone: string, options: ErrorOptions) {
    super(`TIME_ZONE: PostgreSQL knows no time zone ${zone}`, options);
  }
}

/** The time zones that there are for a database, and where they come from. */
export interface Zones {
  /** Of times without an offset. */
  readonly zone: string;
  /** The `DateStyle` of a session that sets none. */
  readonly dateStyle: string;
  /** Who says so; `address` are the `options` in `DATABASE_URL`. */
  readonly source: "setting" | "address" | "role" | "database" | "server";
  /** Of a session that sets none. */
  readonly session: string;
  /** What is set for the database; null: nothing. */
  readonly database: string | null;
  /** What is set for the role of the session; null: nothing. */
  readonly role: string | null;
  /** What is set for other roles that have sessions or a setting for this database, by their names. */
  readonly others: Readonly<Record<string, string>>;
}

const CONNECT_TIMEOUT_MS = 2_000;
const STATEMENT_TIMEOUT_MS = 1_000;
/** For the connection and the statement. */
const DEADLINE_MS = 4_000;

/** A session with the time zone and the `DateStyle` that it gets from PostgreSQL. */
export function openPlainSession(url: string, onEnd: () => void = () => {}): Session {
  return openSession(url, {
    name: "lotline-time-zone",
    readsAsServer: true,
    readOnly: true,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    onEnd,
  });
}

/** `source` in `pg_settings`; all others are the server's. */
const SOURCES: Readonly<Record<string, Zones["source"]>> = {
  client: "address",
  user: "role",
  "database user": "role",
  database: "database",
};

/**
 * The time zones for a database, read in a plain session.
 *
 * @param setting TIME_ZONE
 * @throws {TimeZoneError}
 */
export async function readZones(sql: Sql, setting: string | undefined): Promise<Zones> {
  const query = sql<(Omit<Zones, "zone" | "source"> & { source: string })[]>`
    with own as (
      select setdatabase = 0 as everywhere, setrole, substr(entry, length('TimeZone=') + 1) as zone
      from pg_db_role_setting, unnest(setconfig) as entry
      where entry ilike 'TimeZone=%' and setdatabase in (
        0, (select oid from pg_database where datname = current_database()))
    ),
    of_database as (
      select zone from own where setrole = 0 order by everywhere limit 1
    ),
    of_roles as (
      select rolname::text as name,
        (select zone from own where setrole = roles.oid order by everywhere limit 1) as zone
      from pg_roles as roles
      where rolname = session_user or oid in (
        select usesysid from pg_stat_activity where datname = current_database()
        union all select setrole from own where not everywhere)
    )
    select setting as session, source, current_setting('DateStyle') as "dateStyle",
      (select zone from of_database) as database,
      (select zone from of_roles where name = session_user) as role,
      coalesce((
        select jsonb_object_agg(name, zone) from of_roles
        where name <> session_user and zone is not null
      ), '{}') as others
    from pg_settings where name = 'TimeZone'`;
  const [row] = await queryWithDeadline(sql, query, DEADLINE_MS);
  if (row === undefined) throw new Error("PostgreSQL shows no time zone");
  const { source, ...zones } = row;
  if (setting === undefined) {
    return { ...zones, zone: row.session, source: SOURCES[source] ?? "server" };
  }
  return { ...zones, zone: await checked(sql, setting), source: "setting" };
}

/** The setting in PostgreSQL's spelling. */
async function checked(sql: Sql, setting: string): Promise<string> {
  const query = sql<{ zone: string }[]>`
    select set_config('TimeZone', ${setting}, true) as zone`;
  const [row] = await queryWithDeadline(sql, query, DEADLINE_MS).catch((cause) => {
    throw isRefusedValue(cause) ? new TimeZoneError(setting, { cause }) : cause;
  });
  return row?.zone ?? setting;
}

/**
 * The zones that aren't the one in which times without an offset are read, each with what has it;
 * undefined without any. The old server reads such a time in the zone of its own sessions.
 */
export function otherZones(
  { zone, source, session, database, role, others }: Zones,
  nameOf = (role: string) => `role ${role}`,
): string | undefined {
  const all: [string, string | null][] = [
    ["database", database],
    ["role", role],
    ...Object.entries(others).map(([name, zone]): [string, string] => [nameOf(name), zone]),
  ];
  // What a setting overrules may be the server's zone, or that of the address.
  const isShown = all.some(([, own]) => own === session);
  if (source === "setting" && !isShown) all.push(["session", session]);
  const shown = all.flatMap(([name, own]) =>
    own === null || isSameZone(own, zone) ? [] : [`${own} (${name})`]
  );
  return [...new Set(shown)].join(", ") || undefined;
}

/** A sentence about zones that differ; undefined without any. */
export function warningOf(zones: Zones): string | undefined {
  const others = otherZones(zones);
  const from = zones.source === "setting" ? "TIME_ZONE" : zones.source;
  return others &&
    `WARNING: times without an offset are read in ${zones.zone} (${from}), and there is also ` +
      `${others}: set TIME_ZONE to the time zone of the old server's sessions`;
}

/** {@link readZones} for an address, in a session of its own. */
export async function findZones(url: string, setting: string | undefined): Promise<Zones> {
  await using session = openPlainSession(url);
  return await readZones(session.sql, setting);
}
