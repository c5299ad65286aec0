import { deepStrictEqual } from "node:assert/strict";
import postgres from "postgres";
import { openSession } from "../db/session.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { listTablesWithOtherRows, loadSeed, resetToSeed } from "./seed.ts";

Deno.test("a reset that meets a reader in a deadlock begins again", async () => {
  await using database = await freshDatabase();
  const seed = await loadSeed();
  await using reader = openSession(database.url, { name: "lotline-test-reader" });
  // The reader never looks for a deadlock itself: the reset is the one that PostgreSQL ends.
  await reader.sql`set deadlock_timeout = '10min'`;
  const connection = { application_name: "lotline-test-reset", deadlock_timeout: "3s" };
  const resetting = postgres(database.url, { max: 1, connection });
  try {
    await resetting`select 1`;
    await reader.sql`begin`;
    await reader.sql`lock table lots in access share mode`;
    const reset = resetToSeed(resetting, seed);
    await eventually("the reset waits for the reader", async () => {
      const [{ waits } = { waits: false }] = await database.sql<{ waits: boolean }[]>`
        select exists (
          select from pg_stat_activity
          where application_name = 'lotline-test-reset' and wait_event_type = 'Lock'
        ) as waits`;
      return waits;
    });
    await reader.sql`lock table qc_decisions in access share mode`;
    await reader.sql`commit`;
    await reset;
  } finally {
    await resetting.end({ timeout: 1 });
  }
  deepStrictEqual(await listTablesWithOtherRows(database.sql, seed), []);
});
