import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { findTraceById } from "../db/traces.ts";
import { deepTrace } from "../jobs/deep_trace.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { type GivenLink, insertChain, insertLinks, insertLots } from "../testing/genealogy.ts";
import { runJob } from "../testing/run_job.ts";
import { delay } from "../timing.ts";
import { linesOf } from "./deep_trace_result.ts";
import { DeepTrace } from "./deep_trace_shapes.ts";
import { ErrorResponse } from "./responses.ts";
import { Lot } from "./schemas.ts";

const { api, sql, databaseUrl } = await apiOnSeed();

const LINES = { accept: "application/x-ndjson" };
const NO_TRACE = "99999999-9999-4999-8999-999999999999";

/** A lot with this many children; their ids are returned after its own. */
async function insertStar(code: string, children: number): Promise<string[]> {
  const lots = Array.from({ length: children + 1 }, (_, i) => ({ lot_code: `${code}-${i}` }));
  const ids = await insertLots(sql, lots);
  await insertLinks(sql, ids.slice(1).map((id): GivenLink => [ids[0] ?? null, id]));
  return ids;
}

const downstream = (lot_code: string) =>
  api.post("/api/traces", { lot_code, direction: "downstream" });

const STAR = await insertStar("STAR", 2_300);
const star = DeepTrace.parse((await downstream("STAR-0")).json);
await insertStar("SUN", 5_600);

Deno.test("a small trace has an immediate response, and can be requested again later", async () => {
  await insertChain(sql, "SMALL", 3);
  const response = await api.post("/api/traces", { lot_code: "SMALL-1", direction: "both" });
  strictEqual(response.status, 200);
  const { id, as_of, created_at, result, ...rest } = DeepTrace.parse(response.json);
  deepStrictEqual(rest, {
    state: "done",
    progress: { lots: 3, depth: 1 },
    lot_code: "SMALL-1",
    direction: "both",
    max_depth: null,
    at_most: 100_000,
    out_of_date: false,
  });
  deepStrictEqual(result?.lots.map(({ lot_code, depth }) => [lot_code, depth]), [
    ["SMALL-1", 0],
    ["SMALL-0", 1],
    ["SMALL-2", 1],
  ]);
  strictEqual(result?.next_cursor, null);
  ok(as_of !== null && created_at !== null && Math.abs(Date.parse(as_of) - Date.now()) < 60_000);
  const again = await api.get(`/api/traces/${id.toUpperCase()}`);
  deepStrictEqual([again.status, again.text], [200, response.text]);
});

Deno.test("a done trace has an ETag, and HEAD has the headers of GET", async () => {
  const path = `/api/traces/${star.id}?limit=3`;
  const response = await api.get(path);
  const etag = response.headers.get("etag") ?? "";
  strictEqual((await api.get(path, { "if-none-match": etag })).status, 304);
  strictEqual((await api.get(`/api/traces/${star.id}`, { "if-none-match": etag })).status, 200);
  const head = await api.send(path, { method: "HEAD" });
  deepStrictEqual(
    [head.status, head.text, head.headers.get("etag"), head.headers.get("content-length")],
    [200, "", etag, String(new TextEncoder().encode(response.text).length)],
  );

  const lines = await api.get(path, LINES);
  const tag = lines.headers.get("etag") ?? "";
  match(tag, /^W\//);
  strictEqual((await api.get(path, { ...LINES, "if-none-match": tag })).status, 304);
  const headOfLines = await api.send(path, { method: "HEAD", headers: LINES });
  deepStrictEqual([headOfLines.status, headOfLines.text], [200, ""]);
});

Deno.test("lots have the form of their one-hop trace, even with unusual values", async () => {
  const letters = `"\\/\u0001\u2028é漢😀`;
  const odd = [
    { weight_kg: "NaN", metadata: '{"b":[1.50,-0.0,1e3],"a":{"é\\n\\u0001":"\u2028😀"}}' },
    { weight_kg: "Infinity", created_at: "infinity", metadata: "null" },
    { weight_kg: "-1000000000000000000000.0010", created_at: "0044-03-15 12:00:00.9999 BC" },
    { weight_kg: "0.000", created_at: "12345-01-02 03:04:05.678901", metadata: '"text\\u0007"' },
    { weight_kg: null, created_at: "0001-01-01 00:00:00", metadata: "[]", lot_type: "FG" },
    { created_at: "9999-12-31 23:59:59.9999", metadata: "9007199254740993" },
    { created_at: "0001-12-31 23:59:59.999 BC", metadata: "true" },
  ].map((lot, i) => ({ lot_code: `${letters}${i}`.padEnd(650, "ü"), ...lot }));
  const ids = await insertLots(sql, odd);
  await insertLinks(sql, ids.slice(1).map((id, i): GivenLink => [ids[i] ?? null, id, "NaN"]));
  await sql`update lots set metadata = null where id = ${ids[6] ?? ""}`;
  await sql`update lot_genealogy set quantity_used_kg = null where child_lot_id = ${ids[6] ?? ""}`;

  const { result } = DeepTrace.parse((await downstream(odd[0]?.lot_code ?? "")).json);
  strictEqual(result?.lots.length, odd.length);
  for (const { depth: _, ...lot } of result?.lots ?? []) {
    const { json } = await api.get(`/api/traceability/${encodeURIComponent(lot.lot_code)}`);
    deepStrictEqual(lot, Lot.parse(json.central));
  }
  deepStrictEqual(
    result?.links.map(({ quantity_used_kg }) => quantity_used_kg),
    ["NaN", "NaN", "NaN", "NaN", "NaN", null],
  );
  deepStrictEqual(result?.totals, [
    { lot_type: "FG", lots: 1, weight_kg: null },
    { lot_type: null, lots: 6, weight_kg: "NaN" },
  ]);
});

/** More than any trace here has. */
const MAX_PAGES = 1_000;

/** All pages, one after the other. */
async function pagesOf(id: string, limit: number) {
  const lots: unknown[] = [], links: unknown[] = [], sizes: number[] = [];
  const rests = new Set<string>();
  for (let query = `?limit=${limit}`; query !== "";) {
    if (sizes.length > MAX_PAGES) throw new Error(`more than ${MAX_PAGES} pages`);
    const { json } = await api.get(`/api/traces/${id}${query}`);
    const { result, ...trace } = DeepTrace.parse(json);
    if (result === null) throw new Error("no result");
    const { lots: some, links: others, next_cursor, ...rest } = result;
    lots.push(...some);
    links.push(...others);
    sizes.push(some.length + others.length);
    rests.add(JSON.stringify({ ...trace, result: rest }));
    query = next_cursor === null ? "" : `?limit=${limit}&cursor=${next_cursor}`;
  }
  return { lots, links, sizes, rests: [...rests] };
}

Deno.test("pages contain all items once, in the order of the lines", async () => {
  const lines = await api.get(`/api/traces/${star.id}`, LINES);
  deepStrictEqual(
    [lines.status, lines.headers.get("content-type"), lines.headers.get("vary")],
    [200, "application/x-ndjson", "Accept"],
  );
  const [head, ...items] = lines.text.trimEnd().split("\n").map((line) => JSON.parse(line));
  deepStrictEqual(items.pop(), { type: "end", lot_count: 2_301, link_count: 2_300 });
  const typed = (type: string) =>
    items.filter((item) => item.type === type).map(({ type: _, ...item }) => item);
  deepStrictEqual(items.map(({ type }) => type), [
    ...Array(2_301).fill("lot"),
    ...Array(2_300).fill("link"),
  ]);
  for (const limit of [700, 1_000, 10_000]) {
    const { lots, links, sizes, rests } = await pagesOf(star.id, limit);
    deepStrictEqual([lots, links], [typed("lot"), typed("link")]);
    const full = Math.floor(4_601 / limit);
    deepStrictEqual(sizes, [...Array(full).fill(limit), 4_601 - full * limit]);
    const { type, ...trace } = head;
    deepStrictEqual([type, rests], ["trace", [JSON.stringify(trace)]]);
  }
  strictEqual(star.result?.lots.length, 1_000);
});

Deno.test("a page of large lots ends early and nothing is left out", async () => {
  const ids = await insertChain(sql, "WIDE", 20);
  await sql`
    update lots set metadata = to_jsonb(repeat('x', 900000)) where id = any(${`{${ids}}`}::uuid[])`;
  const { id, state } = (await downstream("WIDE-0")).json;
  // On a slow disk it takes longer than a request may.
  if (state !== "done") await runJob({ sql, url: databaseUrl }, deepTrace, { traceId: id });
  const { lots, sizes } = await pagesOf(id, 10_000);
  deepStrictEqual([lots.length, sizes.length], [20, 7]);
});

Deno.test("an invalid page is 422 and named", async () => {
  const cursor = (await api.get(`/api/traces/${star.id}?limit=1`)).json.result.next_cursor;
  const cases = [
    ...["0", "10001", "-1", "1.5", "1e3", "x", "", " 5", "99999999999"].map((limit) =>
      [star.id, `limit=${encodeURIComponent(limit)}`] as const
    ),
    [star.id, "cursor="],
    [star.id, `cursor=${cursor.slice(0, 8)}0`],
    [star.id, `cursor=${cursor}%00`],
    [star.id, "cursor=x"],
    [star.id, "limit=2&limit=2"],
  ] as const;
  for (const [id, query] of cases) {
    const response = await api.get(`/api/traces/${id}?${query}`);
    const { details } = ErrorResponse.parse(response.json);
    deepStrictEqual([response.status, details?.[0]?.path], [422, query.split("=")[0]], query);
  }
  const fine = await api.get(`/api/traces/${star.id}?limit=2&other=1&other=2`);
  strictEqual(fine.json.result.lots.length, 2);
});

Deno.test("a cursor of another trace, or beyond the end, is 404", async () => {
  const other = DeepTrace.parse(
    (await api.post("/api/traces", { ...good, direction: "downstream", at_most: 9_999 })).json,
  );
  const waiting = (await downstream("SUN-0")).json.id;
  const cursor = (await api.get(`/api/traces/${star.id}?limit=1`)).json.result.next_cursor;
  for (const [id, sent] of [[star.id, `${cursor}0000`], [other.id, cursor], [waiting, cursor]]) {
    const response = await api.get(`/api/traces/${id}?cursor=${sent}`);
    const error = "cursor is not a next_cursor of this trace";
    deepStrictEqual([response.status, response.json], [404, { error }], `${id} ${sent}`);
  }
});

Deno.test("a missing trace is 404 with its own sentence, and a missing lot is 404 too", async () => {
  const trace = await api.get(`/api/traces/${NO_TRACE}`);
  deepStrictEqual([trace.status, trace.json], [404, { error: "There is no such trace" }]);
  strictEqual((await api.get("/api/traces/1")).status, 422);
  const lot = await downstream("NO-SUCH-LOT");
  deepStrictEqual([lot.status, lot.json], [404, { error: "Lot not found: NO-SUCH-LOT" }]);
  const [row] = await sql`select from lotline.traces where lot_code = 'NO-SUCH-LOT'`;
  strictEqual(row, undefined);
});

Deno.test("a lot code in the wrong letter case gets the right one, and a long code is cut", async () => {
  const [upper, lower] = await insertLots(sql, [{ lot_code: "CASE-A1" }, { lot_code: "case-b1" }]);
  ok(upper && lower);
  const hint = "lot codes are case-sensitive, and";
  const codes: [sent: string, sentence: string][] = [
    ["Case-a1", `Lot not found: Case-a1; ${hint} CASE-A1 exists`],
    ["CASE-B1", `Lot not found: CASE-B1; ${hint} case-b1 exists`],
    ["x".repeat(2_000), `Lot not found: ${"x".repeat(60)}…`],
  ];
  for (const [sent, error] of codes) {
    const { status, json, headers } = await downstream(sent);
    deepStrictEqual([status, json], [404, { error }]);
    ok(headers.has("etag"));
  }
  // The old operation keeps its body.
  const old = await api.get("/api/traceability/Case-a1");
  deepStrictEqual([old.status, old.json], [404, { error: "Lot not found" }]);
});

const good = { lot_code: "STAR-0", direction: "upstream" };
const BAD_BODIES: [path: string, body: unknown][] = [
  ["lot_code", { direction: "both" }],
  ["lot_code", { ...good, lot_code: "" }],
  ["lot_code", { ...good, lot_code: "a\0" }],
  ["lot_code", { ...good, lot_code: "é".repeat(651) }],
  ["lot_code", { ...good, lot_code: null }],
  ["direction", { lot_code: "STAR-0" }],
  ["direction", { ...good, direction: "down" }],
  ...[0, 10_001, 1.5, "1", -1].map((
    max_depth,
  ): [string, unknown] => ["max_depth", { ...good, max_depth }]),
  ...[0, 1_000_001, 1.5, "1", null].map((
    at_most,
  ): [string, unknown] => ["at_most", { ...good, at_most }]),
  ["depth", { ...good, depth: 1 }],
  ["lot_code", {}],
];

Deno.test("an invalid request for a trace is 422 and named, and stores nothing", async () => {
  const count = async () => (await sql`select count(*) from lotline.traces`)[0]?.count;
  const before = await count();
  for (const [path, body] of BAD_BODIES) {
    const response = await api.post("/api/traces", body);
    const { details } = ErrorResponse.parse(response.json);
    deepStrictEqual([response.status, details?.[0]?.path], [422, path], JSON.stringify(body));
  }
  strictEqual((await api.post("/api/traces", "{")).status, 400);
  strictEqual(await count(), before);
});

Deno.test("the maximum limits are accepted, and a code may be a number", async () => {
  await insertChain(sql, "4711", 1);
  await sql`update lots set lot_code = '4711' where lot_code = '4711-0'`;
  const number = await api.post("/api/traces", {
    lot_code: 4711,
    direction: "both",
    max_depth: null,
  });
  deepStrictEqual([number.status, number.json.lot_code], [200, "4711"]);
  const cut = await api.post("/api/traces", { ...good, direction: "downstream", at_most: 3 });
  const { result, at_most } = DeepTrace.parse(cut.json);
  deepStrictEqual([at_most, result?.lots.length, result?.truncated], [3, 3, true]);
  deepStrictEqual(
    result?.lots.slice(1).map(({ id }) => id).sort(),
    STAR.slice(1).sort().slice(0, 2),
  );
});

Deno.test("a large trace is done by a job, and its progress is visible", async () => {
  const requested = await downstream("SUN-0");
  strictEqual(requested.status, 202);
  const { id, result } = DeepTrace.parse(requested.json);
  const path = `/api/traces/${id}`;
  deepStrictEqual([requested.headers.get("location"), result], [path, null]);
  const look = async () => DeepTrace.parse((await api.get(path)).json);
  const [job] = await sql`
    select jobs.id, kind, priority, arguments from lotline.jobs
    join lotline.traces on job_id = jobs.id where traces.id = ${id}`;
  deepStrictEqual(
    [job?.kind, job?.priority, job?.arguments],
    ["deep_trace", 0, { traceId: id }],
  );

  const states: [state: string, shown: string][] = [
    ["ready", "queued"],
    ["running", "running"],
    ["dead", "failed"],
    ["cancelled", "cancelled"],
  ];
  for (const [state, shown] of states) {
    await sql`
      update lotline.jobs set state = ${state}, progress = '{"lots": 12, "depth": 3}'
      where id = ${job?.id}`;
    const { state: notified, progress } = await look();
    deepStrictEqual([notified, progress], [shown, { lots: 12, depth: 3 }]);
  }
  const lines = await api.get(path, LINES);
  deepStrictEqual(lines.text.trimEnd().split("\n").map((line) => JSON.parse(line)), [
    { type: "trace", ...await look() },
    { type: "end", lot_count: 0, link_count: 0 },
  ]);

  await runJob({ sql, url: databaseUrl }, deepTrace, { traceId: id });
  const done = await look();
  deepStrictEqual(
    [done.state, done.progress, done.result?.lot_count, done.result?.link_count],
    ["done", { lots: 5_601, depth: 1 }, 5_601, 5_600],
  );
});

Deno.test("with 1,000 traces waiting one more gets 503, and a small one is taken", async () => {
  await sql`insert into lotline.jobs (kind) select 'deep_trace' from generate_series(1, 1000)`;
  const response = await api.post("/api/traces", { lot_code: "SUN-0", direction: "both" });
  deepStrictEqual(
    [response.status, response.headers.get("retry-after"), response.json],
    [503, "10", { error: "Too many traces are waiting, try again soon" }],
  );
  strictEqual((await downstream("STAR-2")).status, 200);
  const [left] = await sql`
    select count(*)::int as count from lotline.traces where run is null and job_id is null`;
  strictEqual(left?.count, 0);
  await sql`delete from lotline.jobs where not exists (select from lotline.traces where job_id = jobs.id)`;
});

Deno.test("lines are read from the database no faster than the client reads them", async () => {
  const stored = await findTraceById(sql, star.id);
  if (stored === undefined) throw new Error("no trace");
  const copy = { ...stored, run: crypto.randomUUID() };
  await sql`
    insert into lotline.trace_chunks (run, number, kind, first_line, lines, body)
    select ${copy.run}, number, kind, first_line, lines, body
    from lotline.trace_chunks where run = ${stored.run}`;
  const reader = ReadableStream.from(linesOf(sql, copy).lines).getReader();
  await reader.read();
  await delay(100);
  // Of six pieces: the head is read, one may be waiting.
  await sql`delete from lotline.trace_chunks where run = ${copy.run} and number > 1`;
  let pieces = 0;
  await rejects(async () => {
    while (!(await reader.read()).done) pieces++;
  }, /rows of a deep trace's result are gone/);
  ok(pieces <= 2, `${pieces} pieces were there`);
});

Deno.test("a client that stops reading lines doesn't affect the API", async () => {
  const response = await fetch(`${api.url}/api/traces/${star.id}`, { headers: LINES });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  strictEqual((await api.get(`/api/traces/${star.id}?limit=1`)).status, 200);
  ok(!api.log.lines.some((line) => line.includes('"status":500')));
});
