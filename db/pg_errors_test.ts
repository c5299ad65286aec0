import { strictEqual } from "node:assert/strict";
import postgres from "postgres";
import { ApiError, toApiError } from "../errors.ts";
import { freshDatabase } from "../testing/database.ts";
import { connect } from "./connect.ts";
import {
  isLockTimeout,
  isMissingTable,
  isOutage,
  isRefusedRow,
  isStaleStatement,
  isStatementTimeout,
  isWrongServer,
  wasRolledBack,
} from "./pg_errors.ts";

/** Errors of PostgreSQL, and whether they guarantee that nothing was stored, or are a timeout. */
const CODES: [what: string, code: string, isUndone: boolean, isOutOfTime: boolean][] = [
  ["a value that is none", "22P02", true, false],
  ["a taken value", "23505", true, false],
  ["a deadlock", "40P01", true, false],
  ["a serialization failure", "40001", true, false],
  ["a lock that isn't to be had", "55P03", true, false],
  ["another object's state", "55006", false, false],
  ["a statement that took too long", "57014", false, true],
  ["a shutdown", "57P01", false, false],
  ["a lost connection", "08006", false, false],
  ["a full disk", "53100", false, false],
  ["a read-only server", "25006", false, false],
  ["our own client's word", "CONNECTION_CLOSED", false, false],
  ["a longer word that begins so", "235055", false, false],
  ["a longer word that ends so", "X55P03", false, false],
];

for (const [what, code, rolledBack, late] of CODES) {
  Deno.test(`${what} (${code}) ${rolledBack ? "has stored nothing" : "may have stored something"}`, () => {
    const error = Object.assign(new Error(what), { code });
    strictEqual(wasRolledBack(error), rolledBack);
    strictEqual(isStatementTimeout(error), late);
  });
}

Deno.test("an error without a code decides nothing", () => {
  for (const thrown of [new Error("23505"), { code: "23505" }, "23505", null, undefined]) {
    strictEqual(wasRolledBack(thrown), false);
  }
  for (const thrown of [new Error("57014"), { code: "57014" }, "57014", undefined]) {
    strictEqual(isStatementTimeout(thrown), false);
  }
});

Deno.test("each code counts as what it is, and nothing else does", () => {
  const cases: [is: (error: unknown) => boolean, codes: string][] = [
    [isLockTimeout, "55P03"],
    [isStatementTimeout, "57014"],
    [isMissingTable, "42P01 3F000"],
    [isStaleStatement, "0A000 25P02"],
    [isWrongServer, "25006 57P01 57P02 57P03 57P04 57P05"],
    [isRefusedRow, "22003 22P02 23502 23505"],
  ];
  const all = [...cases.flatMap(([, codes]) => codes.split(" ")), "", "42P02", "57P06", "2P022"];
  for (const [is, codes] of cases) {
    const found = all.filter((code) => is(withCode(code)));
    strictEqual(found.join(" "), codes, is.name);
  }
});

const withCode = (code: string, options?: ErrorOptions) =>
  Object.assign(new Error(code, options), { code });

// Each class of https://www.postgresql.org/docs/17/errcodes-appendix.html, and each code near the
// edge of what counts.
const STATE =
  "08000 08001 08003 08004 08006 08007 08P01 28000 28P01 3D000 53000 53100 53300 57P01 57P02 57P03 " +
  "57P04 57P05 25006 40001 40P01";
const NOT_STATE = "00000 01000 02000 03000 09000 0A000 0B000 0F000 0L000 0P000 0Z000 20000 21000 " +
  "22000 22P05 23502 23505 24000 25000 25001 25P01 25P02 25P03 25P04 26000 27000 2B000 " +
  "2D000 2F000 34000 38000 39000 3B000 3F000 40000 40002 40003 42000 42501 42P01 44000 53200 " +
  "53400 54000 55000 55006 55P03 57000 57014 57P06 58000 58030 72000 F0000 HV000 P0000 P0001 XX000 " +
  "XX001";
const LINK = "CONNECTION_CLOSED CONNECTION_ENDED CONNECTION_DESTROYED CONNECT_TIMEOUT " +
  "QUERY_DEADLINE ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH ENETUNREACH " +
  "ENOTFOUND EAI_AGAIN LINK_FAILED DEPTH_ZERO_SELF_SIGNED_CERT ERR_SSL_WRONG_VERSION_NUMBER";

Deno.test("by its code, each error counts as unavailability of the database or as a fault of the statement", () => {
  const cases: [codes: string, expected: boolean][] = [
    [STATE, true],
    [NOT_STATE, false],
    [LINK, true],
    ["ENOENT EACCES ERR_INVALID_ARG_TYPE UNDEFINED_VALUE", false],
  ];
  for (const [codes, expected] of cases) {
    for (const code of codes.split(" ")) {
      strictEqual(isOutage(withCode(code)), expected, code);
    }
  }
});

Deno.test("it is found behind other errors, and the first known code decides", () => {
  const full = withCode("53100");
  const around = (error: unknown, times: number): unknown =>
    times === 0 ? error : new Error("around", { cause: around(error, times - 1) });
  const circle = new Error("circle");
  circle.cause = circle;
  const cases: [what: string, error: unknown, expected: boolean][] = [
    ["a cause", around(full, 1), true],
    ["a cause of a cause", around(full, 5), true],
    ["an error of the API", toApiError(full), true],
    ["the same, of a statement that took too long", toApiError(withCode("57014")), false],
    ["an ApiError without a cause", new ApiError("database_away", "x"), false],
    ["a timeout behind which a connection was lost", withCode("57014", { cause: full }), false],
    ["a lost connection after a timeout", withCode("EPIPE", { cause: withCode("57014") }), true],
    ["an odd code with a known one behind it", withCode("ODD", { cause: full }), true],
    ["several addresses", new AggregateError([withCode("ECONNREFUSED"), full]), true],
    ["several mistakes", new AggregateError([new TypeError("x")]), false],
    ["no errors at all", new AggregateError([]), false],
    ["a circle", circle, false],
    ["an error", new TypeError("x"), false],
    ["text", "53100", false],
    ["nothing", undefined, false],
    ["an object", { code: "53100" }, false],
  ];
  for (const [what, error, expected] of cases) {
    strictEqual(isOutage(error), expected, what);
  }
});

Deno.test("real errors of PostgreSQL and its driver are recognized", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const thrown = (query: PromiseLike<unknown>) =>
    Promise.resolve(query).then(() => undefined, (error) => error);
  const raised = (code: string) =>
    thrown(sql.unsafe(`do $$ begin raise exception using errcode = '${code}'; end $$`));
  strictEqual(isOutage(await raised("53100")), true);
  strictEqual(isOutage(await raised("53200")), false);
  const readOnly = "set local transaction_read_only = on; create table x ()";
  strictEqual(isOutage(await thrown(sql.unsafe(readOnly))), true);
  strictEqual(isOutage(await thrown(sql`select 1 / 0`)), false);
  const killed = await thrown(sql`select pg_terminate_backend(pg_backend_pid())`);
  strictEqual(isOutage(killed), true, String(killed));
  const tooSlow = thrown(sql.unsafe("set statement_timeout = 20; select pg_sleep(9)"));
  strictEqual(isOutage(await tooSlow), false);
  const refused = new URL(database.url);
  refused.port = "1";
  for (const host of ["127.0.0.1", "localhost", "no-such-host.invalid"]) {
    refused.hostname = host;
    const pool = connect({ url: refused.href, max: 1 });
    const error = await thrown(pool`select 1`);
    strictEqual(isOutage(error), true, `${host}: ${error}`);
    await pool.end({ timeout: 0 });
    strictEqual(isOutage(await thrown(pool`select 1`)), true, "an ended pool");
  }
  const none = new URL(database.url);
  none.pathname = "/no_such_database";
  const odd = postgres(none.href, { max: 1 });
  strictEqual(isOutage(await thrown(odd`select 1`)), true);
  await odd.end({ timeout: 0 });
});
