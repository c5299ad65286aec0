import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { findTraceById } from "../db/traces.ts";
import { deepTrace } from "../jobs/deep_trace.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { eventually } from "../testing/eventually.ts";
import { type GivenLink, insertLinks, insertLots } from "../testing/genealogy.ts";
import { openTransaction } from "../testing/open_transaction.ts";
import { rawRequest, sendRaw } from "../testing/raw_http.ts";
import { runJob } from "../testing/run_job.ts";
import { pageOf } from "./deep_trace_result.ts";

const { api, sql, databaseUrl } = await apiOnSeed();

const LINES = "Accept: application/x-ndjson\r\n";
const FIRST_OF_LINKS = 1_000_000_000;

const star = Array.from({ length: 2_301 }, (_, i) => ({ lot_code: `LOST-${i}` }));
const ids = await insertLots(sql, star);
await insertLinks(sql, ids.slice(1).map((id): GivenLink => [ids[0] ?? null, id]));

let depth = 0;

/** A finished trace of 2,301 lots in three pieces and 2,300 links in three pieces. */
async function takeTrace(): Promise<string> {
  // Without this, the earlier trace would be returned.
  depth++;
  const requested = await api.post("/api/traces", {
    lot_code: "LOST-0",
    direction: "downstream",
    max_depth: depth,
  });
  const { id, state } = requested.json;
  // On a busy machine it takes longer than a request may.
  if (state !== "done") await runJob({ sql, url: databaseUrl }, deepTrace, { traceId: id });
  return id;
}

/** Deletes pieces of a trace's result. */
async function losePieces(id: string, ...numbers: number[]): Promise<void> {
  const { count } = await sql`
    delete from lotline.trace_chunks using lotline.traces
    where traces.id = ${id} and trace_chunks.run = traces.run
      and number = any(${`{${numbers}}`}::text::int[])`;
  strictEqual(count, numbers.length);
}

/** The trace as lines, byte for byte as received, chunk ends included. */
const linesOf = (id: string, headers = "") =>
  sendRaw(Number(new URL(api.url).port), rawRequest(`GET /api/traces/${id}`, LINES + headers));

const PIECES: [what: string, number: number][] = [
  ["the first lots", 0],
  ["lots in the middle", 1],
  ["the last lots", 2],
  ["the first links", FIRST_OF_LINKS],
  ["links in the middle", FIRST_OF_LINKS + 1],
  ["the last links", FIRST_OF_LINKS + 2],
];

Deno.test("a whole trace as lines ends with a line that has their number", async () => {
  const { head, body } = await linesOf(await takeTrace());
  match(head, /^HTTP\/1\.1 200 /);
  const end = `${JSON.stringify({ type: "end", lot_count: 2_301, link_count: 2_300 })}\n\r\n0`;
  strictEqual(body.slice(-end.length), end);
});

for (const [what, number] of PIECES) {
  Deno.test(`lines that lost ${what} are cut off, and never end as if they were complete`, async () => {
    const id = await takeTrace();
    await losePieces(id, number);
    for (const headers of ["", "Accept-Encoding: gzip\r\n"]) {
      const { head, body } = await linesOf(id, headers);
      match(head, /^HTTP\/1\.1 200 [^]*transfer-encoding: chunked/i);
      ok(!/\r\n0(?:\r\n|$)/.test(body), "the chunks end as those of a whole response do");
      ok(!body.includes('"type":"end"'));
    }
    await eventually(
      "the log says so",
      () => Promise.resolve(api.log.lines.some((line) => line.includes("response_broken"))),
    );
  });

  Deno.test(`a page that lost ${what} is no page`, async () => {
    const id = await takeTrace();
    await losePieces(id, number);
    const response = await api.get(`/api/traces/${id}?limit=10000`);
    deepStrictEqual([response.status, response.json.error], [
      500,
      "Something went wrong on our side",
    ]);
  });
}

Deno.test("a page of a trace that is deleted at that moment is 404", async () => {
  const stored = await findTraceById(sql, await takeTrace());
  if (stored === undefined) throw new Error("no trace");
  await losePieces(stored.id, 1);
  const id = crypto.randomUUID();
  await rejects(pageOf(sql, { ...stored, id }, { limit: 10_000 }), { status: 404 });
});

Deno.test("a page of an audit that is deleted at that moment is 404, not a list without findings", async () => {
  const id = crypto.randomUUID();
  await sql`
    insert into lotline.audits (id, job_id, run, as_of, finished_at)
    values (${id}, ${crypto.randomUUID()}, ${crypto.randomUUID()}, now(), now())`;
  strictEqual((await api.get(`/api/audits/${id}`)).status, 200);
  const lock = await openTransaction(
    sql,
    "lock table lotline.audit_findings in access exclusive mode",
  );
  const requested = api.get(`/api/audits/${id}`);
  await eventually("the findings are requested", async () => {
    const [waiting] = await sql`
      select from pg_locks where not granted and relation = 'lotline.audit_findings'::regclass`;
    return waiting !== undefined;
  });
  await sql`delete from lotline.audits where id = ${id}`;
  await lock[Symbol.asyncDispose]();
  strictEqual((await requested).status, 404);
});
