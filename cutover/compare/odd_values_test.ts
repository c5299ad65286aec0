import { deepStrictEqual, ok } from "node:assert/strict";
import { deflateSync, gzipSync } from "node:zlib";
import { startLegacy } from "../legacy/server.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { bytesOf } from "../../testing/raw_http.ts";
import { compareServers } from "../testing/both_servers.ts";
import type { HeaderLines } from "../exchange/exchange.ts";
import { loadLiveRules } from "./approvals.ts";
import type { LegacyOperation } from "../exchange/operations.ts";

/*
 * Odd requests, sent to both upstreams. A value that PostgreSQL stores as an ordinary one gives the
 * same response; any other difference is approved by kind (docs/decisions/0014).
 */

const rules = await loadLiveRules();
const JSON_TYPE: HeaderLines = [["content-type", "application/json"]];

interface OddRequest {
  readonly operation: LegacyOperation;
  readonly target: string;
  readonly headers: HeaderLines;
  readonly body: Uint8Array;
  /** `same`, or the needed approval; by PostgreSQL's version where they differ. */
  readonly outcome: string | Readonly<Record<15 | 17, string>>;
}

const requests: OddRequest[] = [];

function add(
  operation: LegacyOperation,
  outcome: OddRequest["outcome"],
  body: string | Uint8Array,
  headers: HeaderLines = JSON_TYPE,
  target = TARGETS[operation],
): void {
  const bytes = typeof body === "string" ? bytesOf(body) : body;
  requests.push({ operation, target, headers, body: bytes, outcome });
}

const TARGETS: Record<LegacyOperation, string> = {
  getHealth: "/api/health",
  login: "/api/login",
  getTraceability: "/api/traceability/MIX-BATCH-88",
  createLot: "/api/lots",
  createQcDecision: "/api/qc-decisions",
};

let made = 0;
const code = () => `"lot_code":"ODD-${made++}"`;

/** Lots that differ in one field, each value as JSON. */
function lots(outcome: OddRequest["outcome"], field: string, values: readonly string[]): void {
  for (const value of values) add("createLot", outcome, `{${code()},"${field}":${value}}`);
}

function decisions(outcome: OddRequest["outcome"], field: string, values: readonly string[]): void {
  for (const value of values) add("createQcDecision", outcome, `{"${field}":${value}}`);
}

const texts = (...values: string[]) => values.map((value) => JSON.stringify(value));
const nested = (levels: number, open = "[", close = "]") =>
  `${open.repeat(levels)}1${close.repeat(levels)}`;
const joined = (...parts: (string | number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...bytesOf(part)] : part));

// Decimals.
lots("same", "weight_kg", texts(" 1 ", "\t1", "1\n", "\v1\f", "\r1", "+1", "5.", ".5", " 1e-3 "));
lots(
  "same",
  "weight_kg",
  texts("1e00005", "1E+3", "-0.00", "00012").concat("-0", "1e21", "5e-324"),
);
decisions("same", "temperature_c", texts(" -3.50 ", "+.5"));
const SINCE_16 = texts("1_000", "1_0.5", "0x1F", "-0X1f", "0o17", "0b101", "0x_1_F", "1e1_0");
lots({ 15: "client-fault", 17: "same" }, "weight_kg", SINCE_16);
lots("finite-numbers", "weight_kg", texts("NaN", " nan ", "Infinity", "-inf").concat("1e400"));
decisions("finite-numbers", "temperature_c", texts("NaN", "+infinity").concat("-1e400"));
lots("promised-bounds", "weight_kg", texts("1e10000", "1e-16383", "1".padEnd(1_500, "0")));
const NO_DECIMALS = texts(
  "",
  " ",
  "heavy",
  "1,5",
  "1 2",
  "\u00a01",
  "0x",
  "1__0",
  "1e131072",
  "--1",
);
lots("client-fault", "weight_kg", NO_DECIMALS.concat("true", "[]", "[1]", '{"a":1}'));

// UUIDs.
const uuid = () => `aaaaaaaa-bbbb-4ccc-8ddd-${String(made++).padStart(12, "e")}`;
const SPELLINGS: ((uuid: string) => string)[] = [
  (uuid) => uuid.toUpperCase(),
  (uuid) => `{${uuid}}`,
  (uuid) => uuid.replaceAll("-", ""),
  (uuid) => `{${uuid.replaceAll("-", "").toUpperCase()}}`,
  (uuid) => uuid.replaceAll("-", "").replace(/(.{4})(?=.)/g, "$1-"),
  (uuid) => uuid.replaceAll("-", "").replace(/(.{8})(?=.)/g, "$1-"),
];
for (const spell of SPELLINGS) {
  lots("same", "id", texts(spell(uuid())));
  decisions("same", "id", texts(spell(uuid())));
  decisions("same", "lot_id", texts(spell("11111111-1111-1111-1111-111111111101")));
  decisions("client-fault", "lot_id", texts(spell("11111111-1111-1111-1111-111111111199")));
}
for (const wrong of ["{u", "u}", "(u)", "u-", "-u", " u", "u ", "urn:uuid:u", "u0", "u\n"]) {
  lots("client-fault", "id", texts(wrong.replace("u", uuid())));
}

// Moments.
const AT = "2020-01-18";
lots("same", "created_at", texts(`${AT}T24:00:00Z`, `${AT} 24:00`, `${AT}T23:59:60Z`));
lots("same", "created_at", texts(`${AT}T10:00:60.5Z`, `${AT}T10:00+15:59`, `${AT}T10:00-15:59:59`));
lots("same", "created_at", texts(`${AT}T10:00:00+1`, `${AT}T10:00+1:30`, `${AT} 10:00:00 Z`, AT));
lots(
  "same",
  "created_at",
  texts(`${AT} 10:11 AM`, `${AT} 10:11 CET`, `${AT} 10:11 Europe/Budapest`),
);
lots("same", "created_at", texts("Jan 18 2020", "18-Jan-2020 10:11:12.5", "20200118T101112Z"));
lots("same", "created_at", texts("1/18/2020", "2020/01/18", "2020.018", "J2458867", ` ${AT}\t`));
lots("same", "created_at", texts("Sun, 18 Jan 2020 10:11:12 GMT", `${AT} allballs`, `{${AT}}`));
lots("same", "created_at", ["20200118", "200118", "null"]);
decisions("same", "decided_at", texts(`${AT}T24:00:00Z`, "Jan 18 2020").concat("20200118"));
const WORDS = texts("tomorrow", "now", " TODAY ", "yesterday 10:00", "epoch");
lots("fixed-moments", "created_at", WORDS);
decisions("fixed-moments", "decided_at", WORDS);
const OTHER_YEARS = texts(
  "infinity",
  "-infinity",
  `${AT} BC`,
  "10000-01-01",
  "Jan 18 12026",
  "0001-01-01 00:00 CET",
);
decisions("four-digit-years", "decided_at", texts("infinity"));
lots("four-digit-years", "created_at", OTHER_YEARS.concat(texts("9999-12-31T24:00:00Z")));
lots("single-values", "created_at", [`["${AT}"]`, `{"at":"${AT}"}`]);
const NO_MOMENTS = texts("", "x", "2020-02-30", `${AT}T24:00:01Z`, `${AT}T10:00+16`, "18.01.2020");
lots("client-fault", "created_at", NO_MOMENTS.concat("1768730400000", "true", '"\\u0000"'));

// Texts.
decisions("same", "notes", ["5", "0.10", "-0", "1e21", "true", "false", '""', '"\\ud83d\\ude00"']);
decisions("same", "digital_signature", ["true", "12345678901234567890"]);
decisions("single-values", "notes", ["[]", "{}", '["a"]', '[["a"],[1]]', '{"a":1}', "[null]"]);
decisions("single-values", "digital_signature", ["[]", '{"a":1}']);
decisions("finite-numbers", "notes", ["1e400"]);
decisions("promised-bounds", "notes", texts("x".repeat(50_001)));
decisions("client-fault", "notes", ['"\\u0000"']);
decisions("unicode", "notes", ['"\\ud800"']);
for (const value of ["7.50", "true", "false", '" padded "', '"\\t"']) {
  add("createLot", "same", `{"lot_code":${value}}`);
}
for (const value of ["[]", '["a"]', '{"a":1}']) {
  add("createLot", "single-values", `{"lot_code":${value}}`);
}
add("createLot", "finite-numbers", '{"lot_code":-1e400}');
for (const value of ["a".repeat(2_601), "é".repeat(651)]) {
  add("createLot", "promised-bounds", `{"lot_code":"${value}"}`);
}

// Metadata.
lots("same", "metadata", ["1", "1.50", "true", "null", "-0", "[]", '{"a":9007199254740993}']);
lots("same", "metadata", ['{"a":123456789012345678901234567890,"b":-0.0,"c":1e-400,"d":1e-7}']);
lots("same", "metadata", ['{"__proto__":{"x":1},"toJSON":1,"constructor":2}', '{"a":1,"a":2}']);
lots("same", "metadata", ['{"b":1,"10":2,"9":3,"aa":4}', `{"a":${nested(30)}}`]);
lots("same", "metadata", texts('{"a":1.10}', "9007199254740993", ' {"a":1,"a":2} ', "1e-400"));
lots("finite-numbers", "metadata", ["1e400", '{"a":1e400}', '{"a":[-1e400]}', "[1e400]"]);
lots("finite-numbers", "metadata", texts("1e400", '{"a":1e400}', "1".padEnd(400, "0")));
lots("promised-bounds", "metadata", [`{"a":${nested(31)}}`, nested(6_000, '{"a":', "}")]);
lots("promised-bounds", "metadata", texts(nested(33), nested(40_000)));
lots("client-fault", "metadata", ['{"a":"\\u0000"}', '[{"a":"\\u0000"}]', '{"\\u0000":1}']);
lots("unicode", "metadata", ['{"a":"\\ud800"}', '["\\ud800"]'].concat(texts('"\\ud83d"')));
lots("json-metadata", "metadata", ["[1]", '["a"]', "[[]]"].concat(texts("", "x", "NaN", "{}{}")));
add("createLot", "first-fault", `{${code()},"metadata":[1],"weight_kg":"heavy"}`);
add("createLot", "first-fault", '{"lot_code":"RAW-BEEF-001","metadata":[1]}');
add("createLot", "single-values", '{"lot_code":["a"],"metadata":["NULL"]}');

// Keys, and the first of two faults.
for (const key of ['"LOT_CODE":"x"', '"weight_kg ":1', '"":1', '"a,b":1']) {
  add("createLot", "no-injection", `{${code()},${key}}`);
}
add("createLot", "client-fault", `{${code()},"\\u0000":1}`);
add("createLot", "client-fault", `{${code()},"__proto__":1}`);
add("createLot", "same", `{${code()},"weight_kg":1,"weight_kg":"2.50"}`);
add(
  "createQcDecision",
  "single-values",
  '{"lot_id":"11111111-1111-1111-1111-111111111199","notes":[]}',
);
add("createLot", "finite-numbers", '{"lot_code":"RAW-BEEF-001","weight_kg":"NaN"}');
add(
  "createQcDecision",
  "four-digit-years",
  '{"lot_id":"11111111-1111-1111-1111-111111111199","decided_at":"1 Jan 12026"}',
);

// Bytes, charsets and codings.
add("createLot", "unicode", joined('{"lot_code":"BAD', [0xff], '"}'));
add("createLot", "unicode", joined('{"lot_code":"BAD2","x', [0xed, 0xa0, 0x80], '":1}'));
add("createQcDecision", "unicode", joined('{"notes":"', [0xc3], '"}'));
add(
  "createLot",
  "unicode",
  gzipped(joined('{"lot_code":"BAD3', [0xc0, 0x80], '"}')),
  coded("gzip"),
);
add("createLot", "same", gzipped(`{${code()}}`), coded("GZip"));
add("createLot", "same", new Uint8Array(deflateSync(`{${code()}}`)), coded("deflate"));
add("createLot", "finite-numbers", gzipped(`{${code()},"weight_kg":"NaN"}`), coded("gzip"));
add("createLot", "client-fault", gzipped(""), coded("gzip"));
add("createLot", "client-fault", "\ufeff");
add("createLot", "same", `\ufeff{${code()}}`);
const UTF_16 = "application/json; charset=utf-16le";
add("createLot", "unicode", utf16(`{${code()}}`), typed(UTF_16));
add("login", "unicode", utf16('{"email":"admin@flowviz.com"}'), typed(UTF_16));
for (const type of ["application/json; charset=utf-16", "application/json; charset=utf-7"]) {
  add("createLot", "unicode", `{${code()}}`, typed(type));
  add("login", "unicode", '{"email":"admin@flowviz.com"}', typed(type));
}
const READ = ["APPLICATION/JSON", "application/json ;charset=UTF-8", 'application/json; a="b;c"'];
for (const type of READ) add("createLot", "same", `{${code()}}`, typed(type));
for (const type of ["application/json;", "application/json; charset", "application/json\t; a=b"]) {
  add("createLot", "client-fault", `{${code()}}`, typed(type));
  add("login", "same", '{"email":"admin@flowviz.com"}', typed(type));
}
add("createLot", "json-errors", `{${code()}}`, typed("application/json; charset=latin1"));

// Keys of requests.
for (const key of ["a".repeat(5_000), "", "a b", "é", '""', "a".repeat(256)]) {
  const headers: HeaderLines = [...JSON_TYPE, ["idempotency-key", key]];
  add("createLot", "promised-bounds", `{${code()}}`, headers);
  add("createQcDecision", "promised-bounds", '{"decision":"PASS"}', headers);
}
add("createLot", "promised-bounds", `{${code()}}`, [
  ...JSON_TYPE,
  ["idempotency-key", "a"],
  ["idempotency-key", "b"],
]);
add("createLot", "same", `{${code()}}`, [...JSON_TYPE, ["idempotency-key", "a".repeat(255)]]);

// Logins.
for (const email of ["5", "true", "null", "{}", '["a"]', '{"a":1}', "1e400", nested(3_000)]) {
  add("login", "same", `{"email":${email}}`);
}
add("login", "promised-bounds", `{"email":${nested(40_000)}}`);
add("login", "real-token", `{"email":"admin@flowviz.com","password":${nested(20_000)}}`);
add("login", "same", nested(20_000));
add("login", "json-errors", "x".repeat(140_000), coded("deflate"));
add("login", "client-fault", '{"email":["a","\\u0000"]}');
add("login", "same", joined('{"email":"a', [0xff], '"}'));
add("login", "real-token", joined('{"email":"admin@flowviz.com","x":"', [0xff], '"}'));
add("login", "json-errors", joined('{"email":"admin@flowviz.com"}', [0xff]));

// Traces: errors and their headers too.
for (
  const path of ["NOPE", "mix-batch-88", "MIX%2DBATCH%2D88/", "a%2Fb", "%20MIX-BATCH-88", "%25"]
) {
  add("getTraceability", "same", "", [], `/api/traceability/${path}`);
}
add("getTraceability", "json-errors", "", [], "/api/traceability/%ed%a0%80");
add("getTraceability", "client-fault", "", [], "/api/traceability/%00");
add("getTraceability", "same", "", [["if-none-match", "*"]], "/api/traceability/NOPE");

function coded(encoding: string): HeaderLines {
  return [...JSON_TYPE, ["content-encoding", encoding]];
}

function typed(type: string): HeaderLines {
  return [["content-type", type]];
}

function gzipped(body: string | Uint8Array): Uint8Array {
  return new Uint8Array(gzipSync(body));
}

function utf16(text: string): Uint8Array {
  return Uint8Array.from([...text].flatMap((letter) => [letter.charCodeAt(0), 0]));
}

for (const major of [15, 17] as const) {
  Deno.test(`odd requests on PostgreSQL ${major}: ordinary values are the same, the rest is approved by kind`, async () => {
    const seed = await loadSeed();
    await using oldDatabase = await freshDatabase({ major });
    await using newDatabase = await freshDatabase({ major });
    await Promise.all([oldDatabase, newDatabase].map(({ sql }) => resetToSeed(sql, seed)));
    await using old = await startLegacy({ databaseUrl: oldDatabase.url, port: 0 });
    await using api = await startApi({ databaseUrl: newDatabase.url });
    using servers = compareServers({ legacyUrl: old.url, serviceUrl: api.url, rules });

    const wrong: unknown[] = [];
    for (const { operation, target, headers, body, outcome } of requests) {
      const method = operation === "getTraceability" ? "GET" : "POST";
      const request = { method, target, headers, body };
      const { found } = await servers.send(operation, request);
      const verdict = found.outcome === "approved" ? found.approvals.join() : found.outcome;
      const expected = typeof outcome === "string" ? outcome : outcome[major];
      if (verdict === expected) continue;
      const sent = `${target} ${new TextDecoder().decode(body.slice(0, 100))}`;
      wrong.push({ sent, expected, verdict, differences: found.differences });
    }
    deepStrictEqual(wrong, []);

    // Stored rows are the same on both, whether shown or not; refused ones are on neither.
    const rows = await Promise.all(
      [oldDatabase, newDatabase].map(({ sql }) =>
        sql<{ code: string; lot: string }[]>`
        select lot_code as code, to_jsonb(lots) - 'id' - 'created_at' || jsonb_build_object(
          'weight', weight_kg::text, 'moment', case when created_at < '2025-01-01' then created_at end
        ) as lot
        from lots order by lot_code collate "C"`
      ),
    );
    const [before = [], now = []] = rows;
    const byCode = new Map(before.map(({ code, lot }) => [code, lot]));
    // Lists as metadata, which only Lotline stores.
    const lists = now.filter(({ code }) => !byCode.has(code));
    deepStrictEqual(lists.map(({ lot }) => Array.isArray(Object(lot).metadata)), [
      true,
      true,
      true,
    ]);
    for (const { code, lot } of now) if (byCode.has(code)) deepStrictEqual(lot, byCode.get(code));
    ok(now.length > 100 && before.length > now.length, `${before.length} and ${now.length} lots`);
  });
}
