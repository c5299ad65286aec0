import type postgres from "postgres";
import { z } from "zod";
import { isDeadlock } from "../db/pg_errors.ts";

/** How often {@link resetToSeed} begins again after a deadlock. */
const MAX_ATTEMPTS = 5;

// In an order that satisfies their foreign keys.
const TABLES = [
  "auth.users",
  "users",
  "scenarios",
  "streams",
  "qc_gates",
  "phases",
  "production_runs",
  "lots",
  "lot_genealogy",
  "qc_decisions",
] as const;

const Rows = z.array(z.object({ id: z.guid() }).catchall(z.json()));
const Seed = z.strictObject({
  "auth.users": Rows,
  users: Rows,
  scenarios: Rows,
  streams: Rows,
  qc_gates: Rows,
  phases: Rows,
  production_runs: Rows,
  lots: Rows,
  lot_genealogy: Rows,
  qc_decisions: Rows,
});

/** The initial rows of every scenario, by table. */
export type Seed = z.output<typeof Seed>;

/**
 * Reads the seed rows.
 * @throws {z.ZodError} when the file has another shape
 */
export async function loadSeed(): Promise<Seed> {
  const file = new URL("./seed.json", import.meta.url);
  return Seed.parse(JSON.parse(await Deno.readTextFile(file)));
}

/**
 * Empties the ten old tables and fills them with exactly the seed rows, in one transaction. It begins
 * again after a deadlock, since a reader of several tables may lock them in any order.
 */
export async function resetToSeed(sql: postgres.Sql, seed: Seed): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      await sql.begin((tx) => replaceRows(tx, seed));
      return;
    } catch (error) {
      if (!isDeadlock(error) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function replaceRows(tx: postgres.TransactionSql, seed: Seed): Promise<void> {
  // In the lock order of concurrent writers: a row's table, then those that it refers to.
  // TRUNCATE alone would lock them as listed, and could cause a deadlock with a writer.
  await tx`lock table ${tx(TABLES.toReversed())} in access exclusive mode`;
  await tx`truncate ${tx(TABLES)} cascade`;
  for (const table of TABLES) {
    const columns = Object.keys(seed[table][0] ?? {});
    if (columns.length === 0) continue;
    // The columns' own types read the values: a numeric keeps the scale of its text.
    await tx`insert into ${tx(table)} (${tx(columns)})
      select ${tx(columns)}
      from jsonb_populate_recordset(null::${tx(table)}, ${tx.json(seed[table])})`;
  }
}

/** The tables with rows other than the seed's (by id), which {@link resetToSeed} would delete. */
export async function listTablesWithOtherRows(sql: postgres.Sql, seed: Seed): Promise<string[]> {
  const found: string[] = [];
  for (const table of TABLES) {
    const ids = seed[table].map((row) => row.id);
    // As JSON, since not every pool can write a list of UUIDs.
    const [other] = await sql`select from ${sql(table)} where id::text not in
      (select jsonb_array_elements_text(${sql.json(ids)})) limit 1`;
    if (other !== undefined) found.push(table);
  }
  return found;
}
