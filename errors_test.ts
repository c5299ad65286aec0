import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { eventually } from "./testing/eventually.ts";
import { connect } from "./db/connect.ts";
import { freePort } from "./dev/free_port.ts";
import { ApiError, type ErrorCode, toApiError } from "./errors.ts";
import { ErrorResponse } from "./routes/responses.ts";
import { freshDatabase } from "./testing/database.ts";

const STATUSES: Record<ErrorCode, number> = {
  invalid_request: 400,
  invalid_json: 400,
  client_gone: 400,
  user_not_found: 401,
  wrong_credentials: 401,
  no_token: 401,
  bad_token: 401,
  role: 403,
  operator: 403,
  dry_run_unproven: 403,
  dry_run_impossible: 403,
  path_not_found: 404,
  lot_not_found: 404,
  trace_not_found: 404,
  page_not_found: 404,
  audit_not_found: 404,
  method_not_allowed: 405,
  body_too_slow: 408,
  taken: 409,
  unknown_reference: 409,
  route_refused: 409,
  key_in_flight: 409,
  key_reused: 409,
  body_too_large: 413,
  trace_too_large: 413,
  unsupported_media_type: 415,
  outside_contract: 422,
  too_many_tries: 429,
  too_many_logins: 429,
  account_busy: 429,
  internal: 500,
  overloaded: 503,
  stopping: 503,
  database_away: 503,
  revocations_unknown: 503,
};

const CODES = Object.keys(STATUSES).filter((code): code is ErrorCode => code in STATUSES);

Deno.test("each error has its status, and its body is only the sentence", () => {
  for (const code of CODES) {
    const error = new ApiError(code, "A sentence", { cause: new Error("inside") });
    strictEqual(error.status, STATUSES[code], code);
    deepStrictEqual(error.body, { error: "A sentence" });
    ErrorResponse.parse(error.body);
  }
});

Deno.test("503, and no other status, has Retry-After", () => {
  for (const code of CODES) {
    const expected = STATUSES[code] === 503 ? { "retry-after": "1" } : {};
    deepStrictEqual(new ApiError(code, "A sentence").headers, expected, code);
  }
});

Deno.test("details and headers of an error reach the response", () => {
  const details = [{ path: "lot_code", message: "is missing" }];
  const error = new ApiError("outside_contract", "lot_code is missing", {
    details,
    headers: { allow: "GET" },
  });
  deepStrictEqual(error.body, { error: "lot_code is missing", details });
  deepStrictEqual(error.headers, { allow: "GET" });
  strictEqual(toApiError(error), error);
});

const AWAY: [number, string] = [503, "The database is away or too slow, try again shortly"];
const REFUSED: [number, string] = [422, "A value is not one that can be stored"];
const FAULT: [number, string] = [500, "Something went wrong on our side"];

// https://www.postgresql.org/docs/17/errcodes-appendix.html
const SQLSTATES: [code: string, what: string, response: [number, string]][] = [
  ["08006", "connection failure", AWAY],
  ["25006", "read-only transaction, a standby", AWAY],
  ["40001", "serialization failure", AWAY],
  ["40P01", "deadlock", AWAY],
  ["53300", "too many connections", AWAY],
  ["53100", "disk full", AWAY],
  ["55P03", "lock not available", AWAY],
  ["57014", "statement timeout", AWAY],
  ["57P01", "shutdown", AWAY],
  ["57P03", "starting up", AWAY],
  ["28P01", "wrong password", AWAY],
  ["3D000", "no such database", AWAY],
  ["42501", "no privilege", AWAY],
  ["42P01", "undefined table", AWAY],
  ["3F000", "undefined schema", AWAY],
  ["22003", "numeric value out of range", REFUSED],
  ["22P02", "invalid text representation", REFUSED],
  ["22P05", "untranslatable character", REFUSED],
  ["23502", "not null", REFUSED],
  ["23514", "check", REFUSED],
  ["54000", "index entry too long", REFUSED],
  ["42601", "syntax error", FAULT],
  ["42703", "undefined column", FAULT],
  ["42704", "undefined object of a statement", FAULT],
  ["23505", "unique constraint that no route knows", FAULT],
  ["XX000", "internal error", FAULT],
];

Deno.test("PostgreSQL's errors become 503, 422 or 500, without internal details", async () => {
  await using database = await freshDatabase({ migrated: false });
  for (const [code, what, [status, sentence]] of SQLSTATES) {
    const thrown: unknown = await database.sql.unsafe(
      `do $$ begin raise exception 'table secrets' using errcode = '${code}'; end $$`,
    ).then(() => "nothing", (error) => error);
    const error = toApiError(thrown);
    deepStrictEqual([error.status, error.body], [status, { error: sentence }], `${code} ${what}`);
    strictEqual(error.cause, thrown, "the log needs the cause");
  }
});

Deno.test("what a database without all migrations lacks is 503, other faults stay 500", () => {
  const thrown = (code: string) => Object.assign(new Error("it does not exist"), { code });
  for (const code of ["42703", "42704", "42883", "42P10"]) {
    const { status, body, problem, headers } = toApiError(thrown(code), true);
    const expected = [AWAY[0], { error: AWAY[1] }, "schema_old", { "retry-after": "1" }];
    deepStrictEqual([status, body, problem, headers], expected, code);
    strictEqual(toApiError(thrown(code)).status, 500, code);
  }
  strictEqual(toApiError(thrown("42601"), true).status, 500);
  strictEqual(toApiError(new TypeError("a mistake of ours"), true).status, 500);
});

Deno.test("an unavailable PostgreSQL is 503", async () => {
  const sql = connect({ url: `postgres://127.0.0.1:${freePort()}/none`, max: 1 });
  const thrown: unknown = await sql`select 1`.then(() => "nothing", (error) => error);
  await sql.end({ timeout: 0 });
  strictEqual(toApiError(thrown).status, 503);
});

Deno.test("a connection that PostgreSQL ends is 503", async () => {
  await using database = await freshDatabase({ migrated: false });
  const sql = connect({ url: database.url, max: 1, name: "to-be-ended" });
  const sleeping = sql`select pg_sleep(60)`.then(() => "nothing", (error) => error);
  await eventually("its connection is ended", async () => {
    const rows = await database.sql`select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'to-be-ended' and state = 'active'`;
    return rows.length > 0;
  });
  strictEqual(toApiError(await sleeping).status, 503);
  await sql.end({ timeout: 0 });
});

Deno.test("any other thrown value is 500 without details", () => {
  const things = [new TypeError("x of undefined"), "text", undefined, null, { code: "57014" }, 7];
  for (const thing of things) {
    const error = toApiError(thing);
    deepStrictEqual([error.status, error.body.error], FAULT);
    ok(!("details" in error.body));
    strictEqual(error.cause, thing);
  }
});
