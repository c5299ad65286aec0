import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { migrate } from "../db/migrate.ts";
import { type PgBouncer, startPgBouncer } from "./pgbouncer.ts";
import { type Major, postgresUrl } from "./postgres_servers.ts";

/** A database for one test; disposing drops it. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly sql: Sql;
}

/**
 * Every migrated database is a copy of this one, which takes a fifth of the time of a migration.
 */
const TEMPLATE = "lotline_template";
/** The lock for making it; a number that no other code uses. */
const TEMPLATE_LOCK = 7_170_001;

/**
 * A new database, with everything that `deno task migrate` makes unless `migrated` is false. With
 * `TEST_POOLER=bookworm` or `trixie` the address of a migrated one leads through that PgBouncer.
 */
export async function freshDatabase(
  options: { major?: Major; migrated?: boolean } = {},
): Promise<TestDatabase> {
  const server = await postgresUrl(options.major ?? 17);
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  await administer(server, async (sql) => {
    if (options.migrated === false) {
      await sql`create database ${sql(name)}`;
    } else {
      await makeTemplate(sql, server);
      await sql`create database ${sql(name)} template ${sql(TEMPLATE)}`;
    }
  });
  const url = addressOf(server, name);
  const sql = connect({ url, max: 4, name: "lotline-test" });
  const release = options.migrated === false ? undefined : Deno.env.get("TEST_POOLER");
  return {
    url: release === undefined ? url : await throughPooler(server, url, release),
    sql,
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 1 });
      await administer(server, (sql) => sql`drop database ${sql(name)} with (force)`);
    },
  };
}

/** Makes it if missing; of concurrent callers, in this process or another, one does. */
async function makeTemplate(sql: Sql, server: string): Promise<void> {
  const isThere = async () =>
    (await sql`select from pg_database where datname = ${TEMPLATE}`).length > 0;
  if (await isThere()) return;
  await sql`select pg_advisory_lock(${TEMPLATE_LOCK})`;
  if (!await isThere()) {
    // It gets its final name when complete, since its maker may be killed.
    const unfinished = `${TEMPLATE}_unfinished`;
    await sql`drop database if exists ${sql(unfinished)} with (force)`;
    await sql`create database ${sql(unfinished)}`;
    await migrate(addressOf(server, unfinished), () => {});
    await sql`alter database ${sql(unfinished)} rename to ${sql(TEMPLATE)}`;
  }
  await sql`select pg_advisory_unlock(${TEMPLATE_LOCK})`;
}

function addressOf(server: string, database: string): string {
  const address = new URL(server);
  address.pathname = `/${database}`;
  return address.href;
}

async function administer(url: string, statement: (sql: Sql) => PromiseLike<unknown>) {
  const sql = connect({ url, max: 1, statementTimeoutMs: 60_000 });
  await statement(sql);
  await sql.end();
}

const poolers = new Map<string, Promise<PgBouncer>>();

async function throughPooler(server: string, url: string, release: string): Promise<string> {
  if (release !== "bookworm" && release !== "trixie") {
    throw new Error("TEST_POOLER has no such release");
  }
  const settings = {
    default_pool_size: "20",
    ...(release === "trixie" && { max_prepared_statements: "100" }),
  };
  const pooler = poolers.get(server) ?? startPgBouncer(server, { release, settings });
  poolers.set(server, pooler);
  return (await pooler).through(url, "pool_mode=auto");
}
