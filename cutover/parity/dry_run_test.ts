import { deepStrictEqual, ok } from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { dryRunHeader, SECRET } from "../../testing/dry_run.ts";
import { outcomeOf } from "./verify.ts";
import { bytesOf, fillEtags, type ReceivedResponse, send } from "./exchange.ts";
import { exchangeName, loadRecordings, type RecordedRequest } from "./recordings.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";

/** All rows of the tables that requests can change, with the place where they are stored. */
async function rows(sql: Sql): Promise<unknown> {
  const tables = ["lots", "qc_decisions", "users", "auth.users", "lotline.outbox", "lotline.jobs"]
    .concat("lotline.lost_changes", "lotline.traces", "lotline.revoked_tokens");
  const [all] = await sql.unsafe(
    `select ${
      tables.map((table) =>
        `(select coalesce(json_agg(row(t.ctid, t.*)::text), '[]') from ${table} t) as "${table}"`
      )
    }`,
  );
  return all;
}

function dry(request: RecordedRequest): RecordedRequest {
  const { method, path, headers } = request;
  const header = dryRunHeader(method, path, bytesOf(request) ?? "");
  return { ...request, headers: { ...headers, ...header } };
}

Deno.test("every recorded request as a dry run stores nothing, and gets the response of the real one", async () => {
  // The old server's version; the other tests of dry runs are on 17.
  await using database = await freshDatabase({ major: 15 });
  const { sql } = database;
  await using api = await startApi({
    databaseUrl: database.url,
    environment: { DRY_RUN_SECRET: SECRET },
  });
  const seed = await loadSeed();
  const { scenarios } = await loadRecordings();
  const found: [string, string[]][] = [];
  let writes = 0;
  let isSeed = false;
  for (const scenario of scenarios) {
    if (!isSeed) await resetToSeed(sql, seed);
    isSeed = true;
    const past: ReceivedResponse[] = [];
    for (const [step, exchange] of scenario.steps.entries()) {
      const request = fillEtags(exchange.request, past);
      const from = minutesFromNow(-5);
      const before = await rows(sql);
      const { etag, body, ...said } = await send(api.url, dry(request));
      deepStrictEqual(await rows(sql), before, exchangeName(scenario, step));
      const real = await send(api.url, request);
      past.push(real);
      if (real.status === 201) {
        writes++;
        isSeed = false;
      }
      const inTime = { from, to: minutesFromNow(5) };
      const expected = { ...said, body: withoutToken(body) };
      const { differences: faults } = outcomeOf(
        exchangeName(scenario, step),
        { request, response: etag === undefined ? expected : { ...expected, etag: true } },
        { ...real, body: withoutToken(real.body) },
        {
          given: JSON.stringify([seed, request]),
          recorded: inTime,
          actual: inTime,
          made: new Map(),
        },
        [],
      );
      if (faults.length > 0) found.push([exchangeName(scenario, step), faults]);
    }
  }
  deepStrictEqual(found, []);
  ok(writes > 30, `${writes} writes`);
});

const minutesFromNow = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();

/** A token counts as a token only. */
const withoutToken = (body: string) =>
  body.replace(/"token":"[\w-]+\.[\w-]+\.[\w-]+"/, '"token":"a token"');
