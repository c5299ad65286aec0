import { deepStrictEqual, match, notStrictEqual, strictEqual } from "node:assert/strict";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { CONDITIONAL_READS } from "../testing/conditional_reads.ts";

const { api } = await apiOnSeed();

const TRACE = "/api/traceability/MIX-BATCH-88";

async function etagOf(path: string): Promise<string> {
  return (await api.get(path)).headers.get("etag") ?? "";
}

Deno.test("a stored row's response has an ETag, and ignores If-None-Match", async () => {
  for (
    const [path, body] of [["/api/lots", { lot_code: "E-1" }], ["/api/qc-decisions", {
      notes: "E-1",
    }]] as const
  ) {
    const response = await api.post(path, body, { "if-none-match": "*" });
    strictEqual(response.status, 201);
    match(response.headers.get("etag") ?? "", /^W\//);
  }
  const login = { email: "admin@flowviz.com" };
  strictEqual((await api.post("/api/login", login, { "if-none-match": "*" })).status, 200);
});

Deno.test("another body has another ETag, the same body the same", async () => {
  const first = await etagOf(TRACE);
  strictEqual(await etagOf(TRACE), first);
  notStrictEqual(await etagOf("/api/traceability/RAW-BEEF-001"), first);
});

for (const [what, headers, status] of CONDITIONAL_READS) {
  Deno.test(`a read with ${what} is ${status}`, async () => {
    const path = "/api/traceability/RAW-BEEF-001";
    const etag = await etagOf(path);
    for (const method of ["GET", "HEAD"]) {
      const response = await api.send(path, { method, headers: headers(etag) });
      strictEqual(response.status, status, method);
      strictEqual(response.headers.get("etag"), etag);
      strictEqual(response.text !== "", method === "GET" && status === 200);
    }
  });
}

Deno.test("304 has no body and no type, and is readable from another origin", async () => {
  const response = await api.get(TRACE, { "if-none-match": await etagOf(TRACE) });
  deepStrictEqual(
    [response.status, response.text, response.headers.get("content-type")],
    [304, "", null],
  );
  strictEqual(response.headers.get("access-control-allow-origin"), "*");
});

Deno.test("HEAD has the status and headers of GET, its length too, and no body", async () => {
  const paths = [TRACE, "/api/traceability/NONE", "/livez", "/docs", "/openapi.yaml", "/nowhere"];
  for (const path of paths) {
    const [get, head] = [await api.get(path), await api.send(path, { method: "HEAD" })];
    strictEqual(head.text, "");
    strictEqual(head.status, get.status, path);
    const notified = ({ headers }: typeof get) =>
      Object.fromEntries([...headers].filter(([name]) => !["date", "x-request-id"].includes(name)));
    deepStrictEqual(notified(head), notified(get), path);
    strictEqual(get.headers.get("content-length"), String(new Blob([get.text]).size), path);
  }
});

Deno.test("errors are JSON as well, in UTF-8, and readable from another origin", async () => {
  const responses = [
    await api.get("/api/traceability/NONE"),
    await api.post("/api/lots", "{"),
    await api.send("/api/lots", { method: "PUT" }),
    await api.get("/nowhere"),
  ];
  deepStrictEqual(responses.map(({ status }) => status), [404, 400, 405, 404]);
  for (const { headers, text } of responses) {
    strictEqual(headers.get("content-type"), "application/json; charset=utf-8");
    strictEqual(headers.get("access-control-allow-origin"), "*");
    match(text, /^\{"error":"[^"]+"\}$/);
  }
});
