import type { Sql } from "./sql.ts";

/** Runs `work` in a transaction, which is rolled back when `work` throws. */
export async function inTransaction<T>(sql: Sql, work: (tx: Sql) => Promise<T>): Promise<T> {
  // A pool passes a `sql` of its own kind: see pool.ts.
  return await sql.begin((tx) => work(tx as unknown as Sql)) as T;
}
