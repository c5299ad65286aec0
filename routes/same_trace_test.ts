import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import { claimNextJob } from "../db/job_attempts.ts";
import { readOutbox, removeFromOutbox } from "../db/outbox.ts";
import { noteLostChanges } from "../db/trace_changes.ts";
import { beginTrace, DEEP_TRACE_KIND } from "../db/traces.ts";
import { deepTrace } from "../jobs/deep_trace.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { type GivenLink, insertChain, insertLinks, insertLots } from "../testing/genealogy.ts";
import { runJob } from "../testing/run_job.ts";

/* Requests for a deep trace that are repeated on the same data. No relay works here. */

const { api, sql, databaseUrl } = await apiOnSeed({ TRUSTED_PROXIES: "127.0.0.1" });

const from = (address: string) => ({ "x-forwarded-for": address });
const send = (lot_code: string, headers = from("10.0.0.1"), more: object = {}) =>
  api.post("/api/traces", { lot_code, direction: "downstream", ...more }, headers);
const idOf = async (...requested: Parameters<typeof send>): Promise<string> =>
  (await send(...requested)).json.id;

/** A lot with more children than a request may trace; returns its first ids. */
async function insertLargeStar(code: string): Promise<string[]> {
  const lots = Array.from({ length: 5_200 }, (_, i) => ({ lot_code: `${code}-${i}` }));
  const ids = await insertLots(sql, lots);
  await insertLinks(sql, ids.slice(1).map((id): GivenLink => [ids[0] ?? null, id]));
  return ids;
}

const jobs = async () =>
  (await sql<{ count: number }[]>`select count(*)::int from lotline.jobs`)[0]?.count;

const OTHERS = await insertChain(sql, "OTHERS", 2);

Deno.test("a waiting trace is shared by later requests, from any account and after changes", async () => {
  const [root = "", child = ""] = await insertLargeStar("WAITS");
  const first = await send("WAITS-0");
  deepStrictEqual([first.status, first.json.state], [202, "queued"]);
  await sql`update lots set weight_kg = 1 where id = ${child}`;
  const again = await send("WAITS-0", from("10.0.0.2"));
  deepStrictEqual(
    [again.status, again.text, again.headers.get("location")],
    [202, first.text, first.headers.get("location")],
  );
  for (const other of [{ max_depth: 1 }, { at_most: 5_100 }, { direction: "both" }]) {
    notStrictEqual(await idOf("WAITS-0", from("10.0.0.2"), other), first.json.id);
  }
  await sql`update lots set lot_code = 'RENAMED' where id = ${root}`;
  notStrictEqual(await idOf("RENAMED"), first.json.id, "it is called by its old code");
});

Deno.test("a trace that is requested 30 times at the same time makes one job", async () => {
  await insertLargeStar("BURST");
  const before = await jobs();
  const responses = await Promise.all(
    Array.from({ length: 30 }, (_, i) => send("BURST-0", from(`10.0.1.${i}`))),
  );
  deepStrictEqual(new Set(responses.map(({ status }) => status)), new Set([202]));
  strictEqual(new Set(responses.map(({ json }) => json.id)).size, 1);
  strictEqual(await jobs(), (before ?? 0) + 1);
  const [left] = await sql`
    select count(*)::int from lotline.traces where lot_code = 'BURST-0'`;
  strictEqual(left?.count, 1);
});

Deno.test("a current result is returned again, and a new trace is made after a change of its lots", async () => {
  const [root = "", child = ""] = await insertChain(sql, "DONE", 2);
  const first = await send("DONE-0");
  const again = await send("DONE-0", from("10.0.0.2"));
  deepStrictEqual([again.status, again.text], [200, first.text]);

  // Changes of rows that the result doesn't show.
  await insertLinks(sql, [[OTHERS[0] ?? null, OTHERS[1] ?? null]]);
  await sql`insert into qc_decisions (lot_id) values (${root})`;
  await api.post("/api/lots", { lot_code: "NEW" });
  strictEqual(await idOf("DONE-0"), first.json.id);

  const changes = [
    () => sql`update lots set weight_kg = 7 where id = ${child}`,
    () => insertLinks(sql, [[child, OTHERS[0] ?? null]]),
    () => sql`delete from lot_genealogy where parent_lot_id = ${child}`,
    // Of so many changes the lots aren't checked.
    async () => {
      for (let i = 0; i < 25; i++) await insertLinks(sql, [[null, OTHERS[0] ?? null]]);
    },
  ];
  let { id } = first.json;
  for (const change of changes) {
    await change();
    const next = await idOf("DONE-0");
    notStrictEqual(next, id);
    strictEqual(await idOf("DONE-0"), next);
    id = next;
  }
});

Deno.test("a relayed change counts before it has marked the traces", async () => {
  const [root = ""] = await insertChain(sql, "TAKEN-OUT", 2);
  const id = await idOf("TAKEN-OUT-0");
  await sql`update lots set weight_kg = 7 where id = ${root}`;
  await removeFromOutbox(sql, await readOutbox(sql, "0"));
  strictEqual((await sql`select from lotline.outbox`).length, 0);
  notStrictEqual(await idOf("TAKEN-OUT-0"), id);
});

Deno.test("a change that couldn't be noted counts until the relay has marked everything as changed", async () => {
  await insertChain(sql, "LOST", 2);
  const id = await idOf("LOST-0");
  await sql`select nextval('lotline.lost_changes')`;
  const next = await idOf("LOST-0");
  notStrictEqual(next, id);
  notStrictEqual(await idOf("LOST-0"), next, "its transaction may still be open");
  await noteLostChanges(sql, "1");
  const noted = await idOf("LOST-0");
  notStrictEqual(noted, next);
  strictEqual(await idOf("LOST-0"), noted);
});

Deno.test("a result that is out of date, a minute old or cancelled is not returned again", async () => {
  await insertChain(sql, "OLD", 2);
  const marks = [
    sql`update lotline.traces set out_of_date = true where lot_code = 'OLD-0'`,
    sql`update lotline.traces set as_of = now() - interval '61 s' where lot_code = 'OLD-0'`,
  ];
  for (const mark of marks) {
    const id = await idOf("OLD-0");
    await mark;
    notStrictEqual(await idOf("OLD-0"), id);
  }
  await insertLargeStar("CALLED-OFF");
  const id = await idOf("CALLED-OFF-0");
  await sql`
    update lotline.jobs set state = 'cancelled'
    where id = (select job_id from lotline.traces where id = ${id})`;
  notStrictEqual(await idOf("CALLED-OFF-0"), id);
});

Deno.test("a running trace is shared until a change after its start, then a new one waits", async () => {
  await sql`delete from lotline.jobs`;
  await insertLargeStar("RUNS");
  const id = await idOf("RUNS-0");
  // After its request, before its start.
  await sql`update lots set weight_kg = 7 where id = ${OTHERS[0] ?? ""}`;
  const job = await claimNextJob(sql, [DEEP_TRACE_KIND], { worker: "tester", leaseMs: 60_000 });
  await beginTrace(sql, id, job?.token ?? "");
  strictEqual(await idOf("RUNS-0", from("10.0.0.2")), id);

  await sql`update lots set weight_kg = 8 where id = ${OTHERS[0] ?? ""}`;
  // An attempt that has lost its job doesn't affect the one that has it.
  await beginTrace(sql, id, crypto.randomUUID());
  const next = await send("RUNS-0");
  notStrictEqual(next.json.id, id);
  deepStrictEqual([next.status, next.json.state], [202, "queued"]);
});

Deno.test("a keyed request that another trace satisfies has the same response when repeated", async () => {
  await sql`delete from lotline.jobs`;
  await insertLargeStar("KEYED");
  const id = await idOf("KEYED-0");
  const headers = { ...from("10.0.0.2"), "idempotency-key": "shares" };
  const first = await send("KEYED-0", headers);
  deepStrictEqual([first.status, first.json.id, first.json.state], [202, id, "queued"]);
  await runJob({ sql, url: databaseUrl }, deepTrace, { traceId: id });
  await sql`update lots set weight_kg = 7 where lot_code = 'KEYED-0'`;
  const again = await send("KEYED-0", headers);
  deepStrictEqual([again.status, again.text], [202, first.text]);
  strictEqual(again.headers.get("idempotency-replayed"), "true");
  notStrictEqual(await idOf("KEYED-0", from("10.0.0.2")), id);
});

Deno.test("the response stored with a key is small, however large the result's summary is", async () => {
  await insertChain(sql, "SMALL", 2);
  const headers = { ...from("10.0.0.1"), "idempotency-key": "small" };
  const first = await send("SMALL-0", headers);
  strictEqual(first.status, 200);
  const [kept] = await sql`
    select answer->'summary' as summary, account from lotline.idempotency_keys where key = 'small'`;
  deepStrictEqual(kept, { summary: null, account: "10.0.0.1" });
  strictEqual((await send("SMALL-0", headers)).text, first.text);
});

Deno.test("another account's trace is not shared if it would start later than an own one", async () => {
  await sql`delete from lotline.jobs`;
  for (const code of ["QUEUE", "QUEUE-X", "QUEUE-Y"]) await insertLargeStar(code);
  const [first, , third] = [
    await idOf("QUEUE-0"),
    await idOf("QUEUE-X-0"),
    await idOf("QUEUE-Y-0"),
  ];
  strictEqual(await idOf("QUEUE-0", from("10.0.0.2")), first);
  const own = await idOf("QUEUE-Y-0", from("10.0.0.2"));
  notStrictEqual(own, third);
});
