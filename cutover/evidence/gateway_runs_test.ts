import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../../testing/database.ts";
import { eventually } from "../../testing/eventually.ts";
import { noteRun } from "./gateway_runs.ts";

const BUILD = { version: "1.2.3", commit: "abcdef0" };

Deno.test("a gateway that runs has one row, and another one after a silence", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const rows = () =>
    sql<{ version: string; commit: string; isOld: boolean }[]>`
      select version, commit, seen_at < now() - interval '1 minute' as "isOld"
      from lotline.gateway_runs order by started_at`;
  using _run = noteRun({ sql, build: BUILD, log: () => {}, everyMs: 20 });
  await eventually("it is noted", async () => (await rows()).length === 1);
  const first = async () => (await sql`select xmin::text from lotline.gateway_runs`)[0]?.xmin;
  const before = await first();
  await eventually("it is noted again", async () => await first() !== before);
  deepStrictEqual([...await rows()], [{ ...BUILD, isOld: false }]);

  await sql`update lotline.gateway_runs
    set started_at = now() - interval '2 hours', seen_at = now() - interval '1 hour'`;
  await eventually("a new run begins", async () => (await rows()).length === 2);
  deepStrictEqual((await rows()).map(({ isOld }) => isOld), [true, false]);
});

Deno.test("a gateway that can't note its run says so and goes on; a commit may be unknown", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await sql`alter table lotline.gateway_runs add constraint no_commit check (commit is not null)`;
  const logged: string[] = [];
  using _run = noteRun({
    sql,
    build: { version: "1.2.3", commit: undefined },
    log: (_level, event) => logged.push(event),
    everyMs: 20,
  });
  await eventually("it is logged", () => Promise.resolve(logged.length > 0));
  await sql`alter table lotline.gateway_runs drop constraint no_commit`;
  await eventually(
    "it is noted",
    async () => (await sql`select from lotline.gateway_runs where commit is null`).length === 1,
  );
  strictEqual((await sql`select from lotline.gateway_runs`).length, 1);
  deepStrictEqual(logged, ["process_not_noted"]);
});
