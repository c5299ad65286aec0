import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { formatSkipped, passed, verifySafe } from "./verify.ts";
import { formatReport } from "../report/verify_report.ts";
import { startFaultyProxy } from "../testing/planted_fault.ts";
import { loadRecordings, type Recordings } from "./recordings.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startLegacy } from "../legacy/server.ts";
import { freshDatabase } from "../../testing/database.ts";
import { findOperation, isSafeRequest } from "../exchange/match_operation.ts";
import { recordingRedactor, recordRequests, type RedactRecorded } from "./record_requests.ts";
import { parseRequestList } from "./request_list.ts";
import { createRedactor } from "../redact/redact.ts";

// Emails and tokens are the only personal data in this file.
const hide = (text: string) =>
  text.replaceAll(/[\w.]+@[\w.]+/g, "email-000000000001")
    .replaceAll(/(?<="token":")[^"]*/g, "token-000000000002");
const redact: RedactRecorded = (request, received) => ({
  request: { ...request, ...(request.body && { body: hide(request.body) }) },
  received: { ...received, body: hide(received.body) },
});

const real = createRedactor("a secret of at least thirty-two characters");
const of = { token: undefined, redactor: real };

/** The stand-in on the seed's rows. */
async function startSeeded() {
  const database = await freshDatabase();
  await resetToSeed(database.sql, await loadSeed());
  const old = await startLegacy({ databaseUrl: database.url, port: 0 });
  return {
    database,
    base: old.url,
    token: undefined,
    [Symbol.asyncDispose]: async () => {
      await old[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

const LIST = `GET /api/health
GET /api/traceability/MIX-BATCH-88
{"method":"POST","path":"/api/login","headers":{"content-type":"application/json"},"body":"{\\"email\\":\\"nobody@plant.example\\",\\"password\\":\\"x\\"}"}
{"method":"POST","path":"/api/lots","headers":{"content-type":"application/json"},"body":"{\\"lot_code\\":\\"LIST-1\\"}"}
`;

Deno.test("reads, preflights and logins are safe, in any case of their path", () => {
  const safe: [string, string][] = [
    ["GET", "/api/lots"],
    ["HEAD", "/"],
    ["OPTIONS", "/api/lots"],
    ["POST", "/api/login"],
    ["POST", "/API/Login/?x"],
  ];
  const others: [string, string][] = [
    ["POST", "/api/lots"],
    ["POST", "/api/login/../lots"],
    ["POST", "/api/logins"],
    ["DELETE", "/api/login"],
    ["get", "/api/health"],
  ];
  const isSafe = ([method, path]: [string, string]) =>
    isSafeRequest(method, findOperation(method, path));
  for (const one of safe) ok(isSafe(one), one.join(" "));
  for (const one of others) ok(!isSafe(one), one.join(" "));
});

Deno.test("recording a list sends no write, reports that, and stores no personal data", async () => {
  await using old = await startSeeded();
  const options = { ...old, allowWrites: false };
  const { recordings, skipped, unanswered } = await recordRequests(
    options,
    parseRequestList(LIST),
    redact,
  );
  deepStrictEqual(
    recordings.scenarios.map(({ name, steps }) => [name, steps[0]?.response.status]),
    [["line 1", 200], ["line 2", 200], [
      "line 3",
      401,
    ]],
  );
  deepStrictEqual(skipped, [{ exchange: "line 4 #0", why: "it may change something" }]);
  deepStrictEqual(unanswered, []);
  deepStrictEqual(await lotsOf(old), []);
  doesNotMatch(JSON.stringify(recordings), /nobody@/);

  const all = await recordRequests({ ...old, allowWrites: true }, parseRequestList(LIST), redact);
  strictEqual(all.recordings.scenarios.at(-1)?.steps[0]?.response.status, 201);
  deepStrictEqual((await lotsOf(old)).length, 1);
});

const lotsOf = async ({ database }: Awaited<ReturnType<typeof startSeeded>>) => [
  ...await database.sql`select from lots where lot_code = 'LIST-1'`,
];

Deno.test("an exchange recorded from a list is verified, unless it had personal data", async () => {
  await using old = await startSeeded();
  const options = { ...old, allowWrites: true };
  const { recordings } = await recordRequests(options, parseRequestList(LIST), redact);
  const report = await verifySafe({ ...old, redactor: real }, recordings);
  strictEqual(
    formatSkipped(report.skipped) + formatReport(report),
    "SKIPPED 1 requests: it holds a pseudonym, such as line 3 #0\n" +
      "SKIPPED 1 requests: it may change something, such as line 4 #0\n" +
      "2 the same, 0 changed as approved, 0 wrong, of 2 exchanges",
  );
});

Deno.test("the old server's recordings are checked on a server without emptying its tables", async () => {
  await using old = await startSeeded();
  await old.database.sql`insert into lots (lot_code) values ('OURS-1')`;
  const recordings = await loadRecordings();
  const report = await verifySafe({ ...old, redactor: real }, recordings);
  ok(passed(report), formatReport(report));
  strictEqual(report.outcomes.length + report.skipped.length, 147);
  ok(report.outcomes.length > 60, formatReport(report));
  for (const { request } of report.outcomes) {
    match(request, /^(GET|HEAD|OPTIONS) |^POST \/api\/login/i);
  }
  strictEqual((await old.database.sql`select from lots where lot_code = 'OURS-1'`).length, 1);
});

Deno.test("an id, a time or a number that isn't the recorded one is wrong", async () => {
  await using old = await startSeeded();
  const { recordings } = await recordRequests(
    { ...old, allowWrites: false },
    parseRequestList("GET /api/traceability/MIX-BATCH-88\nGET /api/health"),
    redact,
  );
  const faults: [what: string, spoil: (body: string) => string][] = [
    ["an id", (body) => body.replaceAll(/[0-9a-f]{8}(?=-[0-9a-f]{4}-4)/g, "01234567")],
    ["a time", (body) => body.replace(/2026-\d\d-\d\dT/, "2001-01-01T")],
    ["a number", (body) => body.replace(/(\d)"/, '$10"')],
  ];
  for (const [what, spoil] of faults) {
    await using proxy = await startFaultyProxy(old.base, (response) => ({
      ...response,
      body: spoil(response.body),
    }));
    const report = await verifySafe({ ...of, base: proxy.url }, recordings);
    strictEqual(passed(report), false, what);
  }
});

Deno.test("a report of wrong responses shows no personal data", async () => {
  await using old = await startSeeded();
  const { recordings } = await recordRequests(
    { ...old, allowWrites: false },
    parseRequestList("GET /api/traceability/MIX-BATCH-88"),
    recordingRedactor(real),
  );
  await using proxy = await startFaultyProxy(old.base, (response) => ({
    ...response,
    body: response.body.replace('"lot_type":"MIX"', '"lot_type":"Anna","by":"Anna"'),
  }));
  const report = formatReport(await verifySafe({ ...of, base: proxy.url }, recordings));
  match(report, /body\.central\.lot_type: "MIX" -> "text-\w{12}" \(4 characters\)/);
  match(report, /body\.central\.key-\w{12}: \(none\) -> "text-/);
  doesNotMatch(report, /Anna|by/);
});

Deno.test("requests that depend on a skipped one are skipped", async () => {
  await using old = await startSeeded();
  const read = { request: { method: "GET", path: "/api/health", headers: {} } };
  const write = { request: { method: "POST", path: "/api/lots", headers: {} } };
  const { recordings, skipped } = await recordRequests(
    { ...old, allowWrites: false },
    [{ name: "a", steps: [read, write, read] }, { name: "b", steps: [read] }],
    redact,
  );
  deepStrictEqual(recordings.scenarios.map(({ steps }) => steps.length), [1, 1]);
  deepStrictEqual(skipped.map(({ exchange }) => exchange), ["a #1", "a #2"]);
});

Deno.test("an unavailable server is reported, and nothing of it is recorded", async () => {
  const base = "http://127.0.0.1:9";
  const { recordings, unanswered } = await recordRequests(
    { base, allowWrites: false, token: undefined },
    parseRequestList("GET /api/health"),
    redact,
  );
  deepStrictEqual(recordings.scenarios, []);
  match(unanswered.join(), /^line 1 #0: .*ECONNREFUSED/);
});

Deno.test("a login token is sent in place of a replaced one, and nowhere else", async () => {
  const tokens: (string | null)[] = [];
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => {
      tokens.push(request.headers.get("authorization"));
      return new Response("{}", { headers: { "content-type": "application/json" } });
    },
  );
  const base = `http://127.0.0.1:${server.addr.port}`;
  const exchange = (headers: Record<string, string>) => ({
    request: { method: "GET", path: "/", headers },
    response: { status: 200, headers: { "content-type": "application/json" }, body: "{}" },
  });
  const now = new Date().toISOString();
  const recordings: Recordings = {
    recorded: { from: now, to: now },
    live: true,
    scenarios: [
      { name: "with", steps: [exchange({ authorization: "Bearer token-000000000002" })] },
      { name: "without", steps: [exchange({})] },
    ],
  };
  strictEqual((await verifySafe({ ...of, base }, recordings)).skipped.length, 1);
  const report = await verifySafe({ ...of, base, token: "t" }, recordings);
  ok(passed(report) && report.skipped.length === 0, formatReport(report));
  deepStrictEqual(tokens, [null, "Bearer t", null]);
});
