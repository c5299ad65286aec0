import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { ProblemKind } from "../db/link_error.ts";
import { problem } from "../db/problems.ts";
import { PASSWORD, refusingPostgres } from "../testing/refusing_postgres.ts";
import { taskOutput } from "../testing/task_output.ts";

/* The commands on a database that refuses: one sentence, exit code 1, no stack. */

const postgres = await refusingPostgres();
Deno.test.afterAll(async () => await postgres[Symbol.asyncDispose]());

const COMMANDS: readonly (readonly string[])[] = [
  ["migrate"],
  ["jobs", "list"],
  ["user", "list"],
  ["restored"],
];

const REFUSED: readonly [what: string, address: string, kind: ProblemKind][] = [
  ["a wrong password", postgres.address("wrong"), "refused_login"],
  ["a role that needs TLS", postgres.address("encrypted"), "encryption_required"],
  ["a missing database", postgres.address("plain", "nowhere"), "no_database"],
  ["a database that admits nobody", postgres.address("plain", "crowded"), "too_many"],
  ["a database that nobody may connect to", postgres.address("plain", "closed"), "no_right"],
];

for (const [what, DATABASE_URL, kind] of REFUSED) {
  Deno.test(`on ${what} each command prints one sentence and exits with 1`, async () => {
    const { sentence, todo } = problem(kind);
    for (const words of COMMANDS) {
      const { code, output, error } = await taskOutput(words, { DATABASE_URL });
      deepStrictEqual([code, output], [1, ""], words.join(" "));
      ok(error.startsWith(`${sentence}: ${todo} (`), error);
      isOneLine(error);
    }
  });
}

Deno.test("without the right to change the schema, migrate says so in one sentence", async () => {
  const DATABASE_URL = postgres.address("plain", "empty");
  const { code, output, error } = await taskOutput(["migrate"], { DATABASE_URL });
  deepStrictEqual([code, output], [1, ""]);
  match(
    error,
    /^Nothing was changed: migrate was started as plain, which lacks create on .+: postgres can grant it$/,
  );
  isOneLine(error);
});

Deno.test("on a read-only database, migrate says so in one sentence", async () => {
  const DATABASE_URL = `${postgres.address("postgres", "empty")}`;
  await postgres.sql.unsafe("alter database empty set default_transaction_read_only = on");
  const { code, output, error } = await taskOutput(["migrate"], { DATABASE_URL });
  await postgres.sql.unsafe("alter database empty reset default_transaction_read_only");
  deepStrictEqual([code, output], [1, ""]);
  match(error, /read-only transaction/);
  isOneLine(error);
});

function isOneLine(error: string): void {
  strictEqual(error.includes("\n"), false, error);
  for (const secret of [PASSWORD, "canary"]) ok(!error.includes(secret), error);
}
