import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { startApi } from "../testing/api.ts";
import { freshDatabase } from "../testing/database.ts";
import { withDeadline } from "../testing/eventually.ts";
import { delay } from "../timing.ts";

Deno.test("a lock that is never released is 503 for a write, and the write never happens", async () => {
  await using database = await freshDatabase();
  await using api = await startApi({ databaseUrl: database.url });
  strictEqual((await api.post("/api/lots", { lot_code: "BEFORE-1" })).status, 201);
  await database.sql.begin(async (transaction) => {
    await transaction`lock table lots in share row exclusive mode`;
    strictEqual((await api.post("/api/lots", { lot_code: "LOCKED-1" })).status, 503);
    strictEqual((await api.get("/api/traceability/BEFORE-1")).status, 200);
  });
  strictEqual((await api.get("/api/traceability/LOCKED-1")).status, 404);
  strictEqual((await api.post("/api/lots", { lot_code: "LOCKED-1" })).status, 201);
});

Deno.test("a statement that takes too long is 503, and the statements queued after it never run", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await using api = await startApi({
    databaseUrl: database.url,
    environment: { DATABASE_POOL_MAX: "1" },
  });
  await sql.unsafe(`
    create function slow() returns trigger language plpgsql as
      $$ begin if new.lot_code like 'SLOW%' then perform pg_sleep(30); end if; return new; end $$;
    create trigger slow before insert on lots for each row execute function slow()`);
  const codes = ["SLOW-1", "SLOW-2", "BEHIND-1", "BEHIND-2"];
  const store = async (lot_code: string) => {
    // The deadline is six seconds, even in a queue; a statement here takes thirty.
    const { status } = await withDeadline(lot_code, api.post("/api/lots", { lot_code }));
    return status;
  };
  const statuses: Promise<number>[] = [];
  for (const code of codes) {
    statuses.push(store(code));
    // Longer than a slow statement blocks others: each waits for the one before.
    await delay(200);
  }
  deepStrictEqual(await Promise.all(statuses), [503, 503, 503, 503]);
  strictEqual((await api.post("/api/lots", { lot_code: "AFTER-1" })).status, 201);
  const stored = await sql`select from lots where lot_code in ${sql(codes)}`;
  strictEqual(stored.length, 0);
});
