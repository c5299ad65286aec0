import { join } from "node:path";
import { connect } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import type { Sql } from "../db/sql.ts";
import { ownPostgres } from "./postgres_servers.ts";

/** The roles of {@link refusingPostgres}, and what pg_hba.conf says of each. */
const ROLES = {
  plain: "host all plain all trust",
  wrong: "host all wrong all scram-sha-256",
  rejected: "host all rejected all reject",
  // Without ssl in PostgreSQL no connection matches it.
  encrypted: "hostssl all encrypted all trust",
} as const;

/** The right password of role `wrong`; its address has another one. */
export const PASSWORD = "canary-right-password";

/** A PostgreSQL with a migrated database `plant` that refuses in each of several ways. */
export interface RefusingPostgres extends AsyncDisposable {
  /** The address of a role, for database `plant` unless another is named. */
  address(role: keyof typeof ROLES | "postgres", database?: string): string;
  /** The owner's connection to `plant`. */
  readonly sql: Sql;
}

/**
 * Databases: `plant`, to which all roles may connect; `crowded`, which admits no connection; `closed`, to
 * which no role may connect; `rightless`, where the roles have no right; `empty`, without a schema.
 */
export async function refusingPostgres(): Promise<RefusingPostgres> {
  const postgres = await ownPostgres();
  const { server } = postgres;
  const address = (role: string, database = "plant") => {
    const url = Object.assign(new URL(server.url), { username: role, pathname: `/${database}` });
    if (role !== "postgres") url.password = "canary-wrong-password";
    return url.href;
  };
  const admin = connect({ url: server.url, max: 1, statementTimeoutMs: 60_000 });
  for (const name of ["plant", "crowded", "closed", "rightless", "empty"]) {
    await admin.unsafe(`create database ${name}`);
  }
  await migrate(address("postgres"), () => {});
  await migrate(address("postgres", "rightless"), () => {});
  for (const role of Object.keys(ROLES)) {
    await admin.unsafe(`create role ${role} login password '${PASSWORD}'`);
  }
  await admin.unsafe("alter database crowded connection limit 0");
  await admin.unsafe("revoke connect on database closed from public");
  const sql = connect({ url: address("postgres"), max: 1 });
  await sql.unsafe(`
    grant usage on schema lotline, auth to public;
    grant all on all tables in schema public, lotline, auth to public`).simple();
  await Deno.writeTextFile(
    join(server.dataDir, "pg_hba.conf"),
    ["host all postgres all trust", ...Object.values(ROLES), ""].join("\n"),
  );
  await admin`select pg_reload_conf()`;
  await admin.end({ timeout: 1 });
  return {
    address,
    sql,
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 1 });
      await postgres[Symbol.asyncDispose]();
    },
  };
}
