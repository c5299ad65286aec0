import { loadSeed, resetToSeed } from "../dev/seed.ts";
import type { Sql } from "../db/sql.ts";
import { startApi, type TestApi } from "./api.ts";
import { freshDatabase } from "./database.ts";

/** The API on a new database that holds the seed's rows. */
export interface ApiOnSeed {
  readonly api: TestApi;
  /** A connection to the same database, to insert and read rows. */
  readonly sql: Sql;
  readonly databaseUrl: string;
}

/**
 * Starts one API for all tests of the calling file, since a start is slow. It ends after the last
 * of them. Its mode is `legacy` unless the environment sets another.
 */
export async function apiOnSeed(environment: Record<string, string> = {}): Promise<ApiOnSeed> {
  const database = await freshDatabase();
  await resetToSeed(database.sql, await loadSeed());
  const api = await startApi({ databaseUrl: database.url, environment });
  Deno.test.afterAll(async () => {
    await api[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });
  return { api, sql: database.sql, databaseUrl: database.url };
}
