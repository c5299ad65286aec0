import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { eventually } from "../testing/eventually.ts";
import { insertLots } from "../testing/genealogy.ts";
import { openTransaction } from "../testing/open_transaction.ts";

const { api, sql } = await apiOnSeed();

const SLOW = Array.from({ length: 100 }, (_, at) => `SLOW-${at}`);
await insertLots(sql, ["LEFT", "LOST", ...SLOW].map((lot_code) => ({ lot_code })));

const downstream = (lot_code: string) =>
  api.post("/api/traces", { lot_code, direction: "downstream" });

const LOCKED = "lock table lot_genealogy in access exclusive mode";

async function tracesAtWork(): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and application_name = 'lotline-traces' and state <> 'idle'`;
  return row?.count ?? 0;
}

Deno.test("a trace that is too slow for a request is left to a job, and only four wait for it", async () => {
  await using _lock = await openTransaction(sql, LOCKED);
  let max = 0;
  let round = 0;
  // On a busy machine the first of them may stop waiting before the fourth begins.
  await eventually("four traces wait at once", async () => {
    let isOver = false;
    const watch = async () => {
      while (!isOver) max = Math.max(max, await tracesAtWork());
    };
    const watching = watch();
    // Another lot each time: a trace that waits already would be returned at once.
    const lot = `SLOW-${round++}`;
    const responses = await Promise.all(Array.from({ length: 9 }, () => downstream(lot)));
    isOver = true;
    await watching;
    deepStrictEqual(responses.map(({ status }) => status), Array(9).fill(202));
    return max >= 4;
  });
  strictEqual(max, 4);
});

Deno.test("a client that has left leaves no work and no trace", async () => {
  await using _lock = await openTransaction(sql, LOCKED);
  const jobs = async () => (await sql`select count(*) from lotline.jobs`)[0]?.count;
  const before = await jobs();
  const gone = new AbortController();
  const sending = api.send("/api/traces", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ lot_code: "LEFT", direction: "upstream" }),
    signal: gone.signal,
  }).catch(() => {});
  await eventually("the trace is being taken", async () => await tracesAtWork() > 0);
  gone.abort();
  await sending;
  await eventually("nothing is at work", async () => await tracesAtWork() === 0);
  await eventually("no trace is left", async () => {
    const [trace] = await sql`select from lotline.traces where lot_code = 'LEFT'`;
    return trace === undefined;
  });
  strictEqual(await jobs(), before);
});

Deno.test("a connection that is lost is 503, and the next trace uses another one", async () => {
  {
    await using _lock = await openTransaction(sql, LOCKED);
    const sending = downstream("LOST");
    await eventually("the trace is being taken", async () => await tracesAtWork() > 0);
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'lotline-traces'`;
    const response = await sending;
    deepStrictEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
  }
  strictEqual((await downstream("LOST")).status, 200);
});
