import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { freePort } from "../dev/free_port.ts";
import { freshDatabase } from "../testing/database.ts";
import { pretendVersion } from "../testing/old_server.ts";
import { otherAddress } from "../testing/read_only.ts";
import { connect } from "./connect.ts";
import { checkDatabase, type Finding } from "./readiness_checks.ts";
import type { SchemaState } from "./schema_state.ts";

const TIMEOUT_MS = 20_000;

const LEVELS: readonly [schema: SchemaState, level: Finding["level"], problem?: string][] = [
  [{ is: "current" }, "ok"],
  [{ is: "missing" }, "failure", "schema_missing"],
  [{ is: "behind", steps: ["0002_b"] }, "failure", "schema_old"],
  [{ is: "ahead", steps: ["9000_later"] }, "note"],
  [{ is: "unreadable" }, "warning"],
  [{ is: "forbidden" }, "failure", "no_right"],
];

Deno.test("a check of the database is one statement, whatever its schema is", async () => {
  await using database = await freshDatabase({ migrated: false });
  for (const [schema, level, problem] of LEVELS) {
    let statements = 0;
    const sql = new Proxy(database.sql, {
      apply: (target, self, args) => {
        statements++;
        return Reflect.apply(target, self, args);
      },
    });
    const findings = await checkDatabase(sql, () => Promise.resolve(schema), TIMEOUT_MS);
    deepStrictEqual(
      findings.map(({ check, level, problem }) => [check, level, problem]),
      [["database", "ok", undefined], ["read_only", "ok", undefined], [
        "migrations",
        level,
        problem,
      ]],
    );
    strictEqual(statements, 1);
  }
});

Deno.test("without the database nothing else is checked, and other errors are thrown", async () => {
  const sql = connect({ url: `postgres://plant@127.0.0.1:${freePort()}/plant`, max: 1 });
  const findings = await checkDatabase(
    sql,
    () => Promise.reject(new Error("nobody reads it")),
    TIMEOUT_MS,
  );
  await sql.end({ timeout: 1 });
  deepStrictEqual(findings.map(({ check, level, problem }) => [check, level, problem]), [
    ["database", "failure", "unreachable"],
  ]);
  await using database = await freshDatabase({ migrated: false });
  const broken = () => Promise.reject(new TypeError("a mistake of ours"));
  await rejects(checkDatabase(database.sql, broken, TIMEOUT_MS), TypeError);
});

for (const [version, isOld] of [[140_011, true], [150_000, false]] as const) {
  Deno.test(`a server of version ${version} ${isOld ? "is too old, which is all" : "is used"}`, async () => {
    await using database = await freshDatabase({ migrated: false });
    await pretendVersion(database, version);
    const sql = connect({ url: otherAddress(database), max: 1 });
    const findings = await checkDatabase(sql, () => Promise.resolve({ is: "current" }), TIMEOUT_MS);
    await sql.end({ timeout: 1 });
    deepStrictEqual(
      findings.filter(({ level }) => level === "failure").map((
        { check, problem },
      ) => [check, problem]),
      isOld ? [["database", "old_server"]] : [],
    );
    strictEqual(findings.length, isOld ? 1 : 3);
  });
}
