import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { startLegacy } from "../cutover/legacy/server.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";

const { api, sql, databaseUrl } = await apiOnSeed();

const TRACE = "/api/traceability/MIX-BATCH-88";

async function etagOf(path: string): Promise<string> {
  return (await api.get(path)).headers.get("etag") ?? "";
}

Deno.test("each lot's body and ETag are, byte for byte, those of the old server", async () => {
  await using old = await startLegacy({ databaseUrl, port: 0 });
  const lots = await sql<{ lot_code: string }[]>`
    select lot_code from lots where lot_code <> '' and id not in (
      select parent_lot_id from lot_genealogy group by 1 having count(*) > 1
      union select child_lot_id from lot_genealogy group by 1 having count(*) > 1)`;
  ok(lots.length > 40);
  ok(lots.some(({ lot_code }) => /[^\u0000-\u007f]/.test(lot_code)), "a code beyond ASCII");
  for (const { lot_code } of lots) {
    const path = `/api/traceability/${encodeURIComponent(lot_code)}`;
    const [theirs, ours] = [await fetch(old.url + path), await api.get(path)];
    strictEqual(ours.text, await theirs.text());
    match(ours.headers.get("etag") ?? "", /^W\/"[0-9a-f]+-[\w+/]{27}"$/);
    for (const name of ["etag", "content-type", "content-length", "access-control-allow-origin"]) {
      strictEqual(ours.headers.get(name), theirs.headers.get(name), `${name} of ${lot_code}`);
    }
  }
});

Deno.test("a stored row's answer has an ETag, and If-None-Match does nothing to it", async () => {
  for (
    const [path, body] of [["/api/lots", { lot_code: "E-1" }], ["/api/qc-decisions", {
      notes: "E-1",
    }]] as const
  ) {
    const answer = await api.post(path, body, { "if-none-match": "*" });
    strictEqual(answer.status, 201);
    match(answer.headers.get("etag") ?? "", /^W\//);
  }
  const login = { email: "admin@flowviz.com" };
  strictEqual((await api.post("/api/login", login, { "if-none-match": "*" })).status, 200);
});

Deno.test("another body has another ETag, the same body the same", async () => {
  const first = await etagOf(TRACE);
  strictEqual(await etagOf(TRACE), first);
  notStrictEqual(await etagOf("/api/traceability/RAW-BEEF-001"), first);
});

const VALIDATORS: [
  what: string,
  headers: (etag: string) => Record<string, string>,
  status: number,
][] = [
  ["the ETag", (etag) => ({ "if-none-match": etag }), 304],
  ["the ETag as a strong one", (etag) => ({ "if-none-match": etag.replace("W/", "") }), 304],
  ["the ETag among others", (etag) => ({ "if-none-match": `"a", ${etag} , W/"b"` }), 304],
  ["a star", () => ({ "if-none-match": "*" }), 304],
  ["the ETag and a later date", (etag) => ({
    "if-none-match": etag,
    "if-modified-since": "Wed, 01 Jan 2098 00:00:00 GMT",
  }), 200],
  ["another ETag", () => ({ "if-none-match": 'W/"2c-x"' }), 200],
  ["half of the ETag", (etag) => ({ "if-none-match": etag.slice(0, -5) }), 200],
  ["an empty list", () => ({ "if-none-match": "" }), 200],
  ["the ETag but no-cache", (etag) => ({
    "if-none-match": etag,
    "cache-control": "no-cache",
  }), 200],
  ["the ETag and max-age", (etag) => ({
    "if-none-match": etag,
    "cache-control": "max-age=0",
  }), 304],
  ["a date alone", () => ({ "if-modified-since": "Wed, 01 Jan 2098 00:00:00 GMT" }), 200],
  ["nothing", () => ({}), 200],
];

for (const [what, headers, status] of VALIDATORS) {
  Deno.test(`a read with ${what} is ${status}, as the old server's is`, async () => {
    await using old = await startLegacy({ databaseUrl, port: 0 });
    // A lot with one link on each side at most, whose lists have one order only.
    const path = "/api/traceability/RAW-BEEF-001";
    const etag = await etagOf(path);
    for (const method of ["GET", "HEAD"]) {
      const answer = await api.send(path, { method, headers: headers(etag) });
      strictEqual(answer.status, status, method);
      strictEqual(answer.headers.get("etag"), etag);
      strictEqual(answer.text !== "", method === "GET" && status === 200);
      const theirs = await fetch(old.url + path, { method, headers: headers(etag) });
      await theirs.body?.cancel();
      deepStrictEqual([theirs.status, theirs.headers.get("etag")], [status, etag], method);
    }
  });
}

Deno.test("304 has no body and no type, and may still be read from another page", async () => {
  const answer = await api.get(TRACE, { "if-none-match": await etagOf(TRACE) });
  deepStrictEqual(
    [answer.status, answer.text, answer.headers.get("content-type")],
    [304, "", null],
  );
  strictEqual(answer.headers.get("access-control-allow-origin"), "*");
});

Deno.test("HEAD has the status and headers of GET, its length too, and no body", async () => {
  const paths = [TRACE, "/api/traceability/NONE", "/livez", "/docs", "/openapi.yaml", "/nowhere"];
  for (const path of paths) {
    const [get, head] = [await api.get(path), await api.send(path, { method: "HEAD" })];
    strictEqual(head.text, "");
    strictEqual(head.status, get.status, path);
    const told = ({ headers }: typeof get) =>
      Object.fromEntries([...headers].filter(([name]) => !["date", "x-request-id"].includes(name)));
    deepStrictEqual(told(head), told(get), path);
    strictEqual(get.headers.get("content-length"), String(new Blob([get.text]).size), path);
  }
});

Deno.test("errors are JSON as well, in UTF-8, and readable from another page", async () => {
  const answers = [
    await api.get("/api/traceability/NONE"),
    await api.post("/api/lots", "{"),
    await api.send("/api/lots", { method: "PUT" }),
    await api.get("/nowhere"),
  ];
  deepStrictEqual(answers.map(({ status }) => status), [404, 400, 405, 404]);
  for (const { headers, text } of answers) {
    strictEqual(headers.get("content-type"), "application/json; charset=utf-8");
    strictEqual(headers.get("access-control-allow-origin"), "*");
    match(text, /^\{"error":"[^"]+"\}$/);
  }
});
