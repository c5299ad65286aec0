import { deepStrictEqual, ok } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { loadSeed, resetToSeed } from "../parity/seed.ts";
import { startApi } from "../testing/api.ts";
import { bytesOf, INSIDE, rawRequest as request, sendRaw } from "../testing/raw_http.ts";

/** Bytes as they go over the wire, and the statuses that are right for them. */
type Case = [what: string, bytes: string | Uint8Array, statuses: number[]];

const JSON_TYPE = "Content-Type: application/json\r\n";

const post = (path: string, body: string | Uint8Array, headers = JSON_TYPE) =>
  request(`POST ${path}`, headers, body);
const lot = (body: string | Uint8Array, headers = JSON_TYPE) => post("/api/lots", body, headers);
const field = (name: string, value: string) => lot(`{"lot_code":"BAD","${name}":${value}}`);
const decision = (name: string, value: string) => post("/api/qc-decisions", `{"${name}":${value}}`);

// JSON-compatible text of exactly this many bytes.
const sized = (bytes: number) => `{"lot_code":"BAD","x":"${"x".repeat(bytes - 25)}"}`;
const deep = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const UNKNOWN = "00000000-0000-4000-8000-00000000dead";

// The list of the reliability promises; each is refused, whole, with nothing stored.
const CASES: Case[] = [
  ["no body", request("POST /api/lots", JSON_TYPE), [422]],
  ["an empty body", request("POST /api/lots", `${JSON_TYPE}Content-Length: 0\r\n`), [422]],
  ["text instead of JSON", lot('{"lot_code":"BAD"}', "Content-Type: text/plain\r\n"), [415]],
  ["a form", lot("lot_code=BAD", "Content-Type: application/x-www-form-urlencoded\r\n"), [415]],
  ["a type that is none", lot('{"lot_code":"BAD"}', "Content-Type: json\r\n"), [415]],
  ["no type", lot('{"lot_code":"BAD"}', ""), [415]],
  ["another charset", lot("{}", "Content-Type: application/json; charset=latin1\r\n"), [415]],
  ["another encoding", lot("{}", `${JSON_TYPE}Content-Encoding: br\r\n`), [415]],
  ["gzip that is none", lot("{}", `${JSON_TYPE}Content-Encoding: gzip\r\n`), [400]],
  ["gzip that is cut", lot(gzipSync(sized(999)).subarray(0, 30), gzipHeaders()), [400]],
  ["broken JSON", lot('{"lot_code":"BAD"'), [400]],
  ["JSON null", lot("null"), [400]],
  ["a JSON number", lot("5"), [400]],
  ["JSON text", lot('"BAD"'), [400]],
  ["a list", lot("[]"), [422]],
  ["a list of lots", lot('[{"lot_code":"BAD"}]'), [422]],
  ["102,401 bytes", lot(sized(102_401)), [413]],
  ["a megabyte", lot(sized(1_000_000)), [413]],
  ["a zip bomb", lot(gzipSync(" ".repeat(50_000_000)), gzipHeaders()), [413]],
  ["10,000 levels", field("metadata", deep(10_000)), [422]],
  ["33 levels", field("metadata", deep(32)), [422]],
  ["10,000 levels as text", field("metadata", `"${deep(10_000)}"`), [422]],
  ["NUL in a code", lot('{"lot_code":"BAD\\u0000"}'), [422]],
  ["NUL in notes", decision("notes", '"a\\u0000"'), [422]],
  ["NUL deep in metadata", field("metadata", '{"a":[{"b":"\\u0000"}]}'), [422]],
  ["NUL in a key of metadata", field("metadata", '{"a\\u0000":1}'), [422]],
  ["bad UTF-8", lot(new Uint8Array([...bytesOf('{"lot_code":"BAD'), 0xff, 0x22, 0x7d])), [400]],
  ["UTF-8 that is cut", lot(new Uint8Array([...bytesOf('{"lot_code":"BAD'), 0xc3])), [400]],
  ["a lone surrogate", lot('{"lot_code":"BAD\\ud800"}'), [422]],
  ["a lone surrogate in metadata", field("metadata", '{"a":"\\udc00"}'), [422]],
  ["1e400 as a number", field("weight_kg", "1e400"), [422]],
  ["1e400 for a code", lot('{"lot_code":1e400}'), [422]],
  ["1e400 in metadata", field("metadata", '{"a":1e400}'), [422]],
  ["an exponent beyond numeric", field("weight_kg", '"1e99999"'), [422]],
  ["NaN as text", field("weight_kg", '"NaN"'), [422]],
  ["Infinity as text", field("temperature_c", '"-Infinity"'), [422]],
  ["hexadecimal", field("weight_kg", '"0x1F"'), [422]],
  ["an empty number", field("weight_kg", '""'), [422]],
  ["__proto__", field("__proto__", '{"lot_type":"RAW"}'), [422]],
  ["constructor", field("constructor", "{}"), [422]],
  ["SQL in a key", lot(`{"lot_code) values ('BAD') --":"x"}`), [422]],
  ["SQL in a key of a decision", decision("notes) select version() --", '"x"'), [422]],
  ["an unknown key", field("colour", '"red"'), [422]],
  ["an unknown key, the last of two good ones", lot('{"lot_code":"BAD","lot_code":{}}'), [422]],
  ["no code", lot('{"lot_type":"RAW"}'), [422]],
  ["a null code", lot('{"lot_code":null}'), [422]],
  ["an empty code", lot('{"lot_code":""}'), [422]],
  ["a code that is true", lot('{"lot_code":true}'), [422]],
  ["a code that is a list", lot('{"lot_code":["BAD"]}'), [422]],
  ["a code too long", lot(`{"lot_code":"${"x".repeat(2_601)}"}`), [422]],
  ["a code too long in bytes", lot(`{"lot_code":"${"ő".repeat(651)}"}`), [422]],
  ["notes too long", decision("notes", `"${"x".repeat(50_001)}"`), [422]],
  ["an unknown type", field("lot_type", '"XXX"'), [422]],
  ["a type in lower case", field("lot_type", '"raw"'), [422]],
  ["a type that is a number", field("lot_type", "1"), [422]],
  ["text for a weight", field("weight_kg", '"heavy"'), [422]],
  ["true for a weight", field("weight_kg", "true"), [422]],
  ["a list for a weight", field("weight_kg", "[1]"), [422]],
  ["metadata that is no JSON", field("metadata", '"abc"'), [422]],
  ["a time that is none", field("created_at", '"yesterday"'), [422]],
  ["a time that is a number", field("created_at", "5"), [422]],
  ["the 30th of February", field("created_at", '"2026-02-30"'), [422]],
  ["the 29th of February 2026", field("created_at", '"2026-02-29T00:00:00Z"'), [422]],
  ["a broken UUID", field("phase_id", '"3"'), [422]],
  ["a null id", field("id", "null"), [422]],
  ["no field at all", post("/api/qc-decisions", "{}"), [422]],
  ["an unknown decision", decision("decision", '"MAYBE"'), [422]],
  ["an unknown run", field("production_run_id", `"${UNKNOWN}"`), [409]],
  ["an unknown phase", field("phase_id", `"${UNKNOWN}"`), [409]],
  ["an unknown operator", field("operator_id", `"${UNKNOWN}"`), [409]],
  ["an unknown lot", decision("lot_id", `"${UNKNOWN}"`), [409]],
  ["an unknown gate", decision("qc_gate_id", `"${UNKNOWN}"`), [409]],
  ["a code that is taken", lot('{"lot_code":"MIX-BATCH-88"}'), [409]],
  ["an id that is taken", field("id", '"22222222-2222-2222-2222-222222222201"'), [409]],
  ["SQL in an email", post("/api/login", `{"email":"' or 1=1 --"}`), [401]],
  ["NUL in an email", post("/api/login", '{"email":"a\\u0000"}'), [401]],
  ["an email that is a list", post("/api/login", '{"email":["admin@flowviz.com"]}'), [401]],
  ["%00 in a path", request("GET /api/traceability/A%00B"), [422]],
  ["%2F in a path", request("GET /api/traceability/..%2F..%2Fetc%2Fpasswd"), [404]],
  ["%zz in a path", request("GET /api/traceability/%zz"), [400]],
  ["a cut escape in a path", request("GET /api/traceability/%E0%A4%A"), [400]],
  ["dots in a path", request("GET /api/traceability/../../etc/passwd"), [404]],
  ["dots before a path", request("GET /../openapi.yaml"), [404]],
  ["an asset that isn't one", request("GET /docs/..%2Fmain.ts"), [404]],
  ["two slashes", request("GET //api/health"), [404]],
  ["SQL in a path", request("GET /api/traceability/'%20or%20'1'%3D'1"), [404]],
  ["an unknown method", request("BREW /api/lots"), [405]],
  ["TRACE", request("TRACE /api/health"), [405]],
  ["CONNECT", request("CONNECT plant:80"), [404, 405]],
  ["DELETE", request("DELETE /api/lots"), [405]],
  ["a path of 60,000 letters", request(`GET /api/traceability/${"x".repeat(60_000)}`), [404, 414]],
];

// What never reaches us: the HTTP layer refuses it without a body.
const PROTOCOL_CASES: Case[] = [
  ["a URL of 100,000 letters", request(`GET /${"x".repeat(100_000)}`), [400, 414]],
  ["a megabyte of headers", request("GET /api/health", `X: ${"x".repeat(1_000_000)}\r\n`), [
    400,
    431,
  ]],
  ["two lengths", raw("Content-Length: 2\r\nContent-Length: 3\r\n", "{}x"), [400]],
  [
    "a length and chunks",
    raw("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
    [400],
  ],
  ["a length that is no number", raw("Content-Length: two\r\n", "{}"), [400]],
  ["no HTTP at all", "hello\r\n\r\n", [400]],
];

function gzipHeaders(): string {
  return `${JSON_TYPE}Content-Encoding: gzip\r\n`;
}

function raw(headers: string, body: string): string {
  return `POST /api/lots HTTP/1.1\r\nHost: plant\r\n${JSON_TYPE}${headers}\r\n${body}`;
}

const COUNTED = ["auth.users", "users", "lots", "lot_genealogy", "qc_decisions"];

Deno.test("bad input", async (t) => {
  await using api = await startApi();
  const sql = api.database?.sql;
  ok(sql);
  await resetToSeed(sql, await loadSeed());
  const port = Number(new URL(api.url).port);
  const counts = async () =>
    await sql.unsafe(
      COUNTED.map((table) => `select '${table}' as table, count(*)::int from ${table}`)
        .join(" union all "),
    );
  const before = [...await counts()];

  for (const [what, bytes, statuses] of CASES) {
    await t.step(`${what} is ${statuses.join(" or ")}, and nothing is stored`, async () => {
      const { status, head, body } = await sendRaw(port, bytes);
      ok(statuses.includes(status), `${head}\n${body}`);
      const answer = JSON.parse(body);
      ok(typeof answer.error === "string" && answer.error.length > 0, body);
      ok(!INSIDE.test(body), body);
      ok(/^content-type: application\/json; charset=utf-8$/im.test(head), head);
      ok(status !== 405 || /^allow: /im.test(head), head);
      deepStrictEqual([...await counts()], before);
    });
  }

  for (const [what, bytes, statuses] of PROTOCOL_CASES) {
    await t.step(`${what} is refused by the HTTP layer`, async () => {
      const { status, head } = await sendRaw(port, bytes);
      // It may close the connection before its answer has been read.
      ok([...statuses, 0].includes(status), head);
      deepStrictEqual([...await counts()], before);
    });
  }

  await t.step("no Host is 400", async () => {
    const { status } = await sendRaw(port, "GET /api/health HTTP/1.1\r\nConnection: close\r\n\r\n");
    deepStrictEqual(status, 400);
  });

  await t.step("the body of a request that was refused is not taken for the next one", async () => {
    const smuggled = "GET /livez HTTP/1.1\r\nHost: plant\r\n\r\n";
    const { body, head } = await sendRaw(
      port,
      post("/api/lots", smuggled, "Content-Type: text/x\r\n"),
    );
    ok(head.startsWith("HTTP/1.1 415"), head);
    ok(!body.includes("live"), body);
  });

  await t.step("after all that it is alive, and has not logged a fault of its own", async () => {
    deepStrictEqual((await api.get("/readyz")).status, 200);
    deepStrictEqual(api.log.lines.filter((line) => line.includes('"level":"error"')), []);
  });
});
