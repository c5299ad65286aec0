import type { Sql } from "../db/sql.ts";
import { freshDatabase, type TestDatabase } from "./database.ts";
import type { Major } from "./postgres_servers.ts";

interface Zoned {
  readonly major?: Major;
  /** Set for the database. */
  readonly database?: string;
  /** Set for the role of the address. */
  readonly role?: string;
  /** The order of day and month, also set for the database. */
  readonly dateStyle?: string;
}

/**
 * A migrated database whose plain sessions have a time zone. With a zone for it, the role of `url` is
 * one of its own, and may do everything.
 */
export async function zonedDatabase(
  { major, database, role, dateStyle }: Zoned,
): Promise<TestDatabase> {
  const made = await freshDatabase({ ...(major && { major }) });
  if (database !== undefined) await setDatabaseZone(made.sql, database);
  if (dateStyle !== undefined) await setForDatabase(made.sql, "datestyle", dateStyle);
  if (role === undefined) return made;
  const name = `zoned_${crypto.randomUUID().slice(0, 8)}`;
  await made.sql.unsafe(`create role ${name} superuser login`);
  await made.sql.unsafe(`alter role ${name} set timezone = '${role}'`);
  return {
    url: Object.assign(new URL(made.url), { username: name }).href,
    sql: made.sql,
    [Symbol.asyncDispose]: async () => {
      await made
        .sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${name}`;
      await made.sql.unsafe(`drop owned by ${name}`);
      await made.sql.unsafe(`drop role ${name}`);
      await made[Symbol.asyncDispose]();
    },
  };
}

/** The zone of sessions that begin from now on. */
export async function setDatabaseZone(sql: Sql, zone: string): Promise<void> {
  await setForDatabase(sql, "timezone", zone);
}

async function setForDatabase(sql: Sql, name: string, value: string): Promise<void> {
  const [row] = await sql<{ database: string }[]>`select current_database() as database`;
  await sql.unsafe(`alter database ${row?.database} set ${name} = '${value}'`);
}
