import { connect, type Sql } from "../db/connect.ts";
import { migrate } from "../db/migrate.ts";
import { type Major, postgresUrl } from "./postgres_servers.ts";

/** A database of a test's own; disposing drops it. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly sql: Sql;
}

/** A new database, with everything that `deno task migrate` makes unless `migrated` is false. */
export async function freshDatabase(
  options: { major?: Major; migrated?: boolean } = {},
): Promise<TestDatabase> {
  const server = await postgresUrl(options.major ?? 17);
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  await administer(server, (sql) => sql`create database ${sql(name)}`);
  const address = new URL(server);
  address.pathname = `/${name}`;
  const url = address.href;
  if (options.migrated ?? true) await migrate(url, () => {});
  const sql = connect({ url, max: 4, name: "lotline-test" });
  return {
    url,
    sql,
    [Symbol.asyncDispose]: async () => {
      await sql.end({ timeout: 1 });
      await administer(server, (sql) => sql`drop database ${sql(name)} with (force)`);
    },
  };
}

async function administer(url: string, statement: (sql: Sql) => PromiseLike<unknown>) {
  const sql = connect({ url, max: 1, statementTimeoutMs: 60_000 });
  await statement(sql);
  await sql.end();
}
