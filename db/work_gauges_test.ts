import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { named, valuesOf } from "../testing/series.ts";
import { createWorkGauges } from "./work_gauges.ts";

const log = () => {};

Deno.test("the oldest change's age is shown at METRICS_PORT, and the API's own /metrics stays as it is", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const read = async (isWhole: boolean) =>
    valuesOf(await createWorkGauges({ sql, log, isWhole })());
  const seconds = async () => (await read(true))["lotline_outbox_oldest_seconds"];
  strictEqual(await seconds(), 0);
  await sql`insert into lots (lot_code) values ('A')`;
  await sql`update lotline.outbox set written_at = written_at - interval '90 s'`;
  await sql`insert into lots (lot_code) values ('B')`;
  const oldest = await seconds() ?? NaN;
  ok(oldest >= 90 && oldest < 150, `${oldest} s`);
  // From before the moment was stored: no number rather than a guess.
  await sql`update lotline.outbox set written_at = null`;
  strictEqual(await seconds(), undefined);
  strictEqual((await read(true))['lotline_work_readable{what="oldest_change"}'], 1);
  const ofApi = await read(false);
  strictEqual(ofApi["lotline_outbox_rows"], 2);
  deepStrictEqual(Object.keys(named(ofApi, "lotline_work_readable")), [
    'lotline_work_readable{what="jobs"}',
    'lotline_work_readable{what="changes"}',
  ]);
});

Deno.test("a worker shows jobs of other kinds together, as unknown", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`
    insert into lotline.jobs (kind, state, run_at)
    select kind, state, now() - late::interval
    from (values ('a', 'ready', '5 s'), ('b', 'ready', '90 s'), ('c', 'ready', '30 s'),
      ('c', 'dead', '0')) job (kind, state, late)`;
  const values = valuesOf(await createWorkGauges({ sql, log, kinds: ["a"] })());
  deepStrictEqual(named(values, "lotline_jobs"), {
    'lotline_jobs{kind="a",state="ready"}': 1,
    'lotline_jobs{kind="unknown",state="ready"}': 2,
    'lotline_jobs{kind="unknown",state="dead"}': 1,
  });
  const oldest = values['lotline_jobs_oldest_due_seconds{kind="unknown"}'] ?? NaN;
  ok(oldest >= 90 && oldest < 150, `${oldest} s`);
});
