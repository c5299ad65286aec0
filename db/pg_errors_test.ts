import { strictEqual } from "node:assert/strict";
import { isStatementTimeout, wasRolledBack } from "./pg_errors.ts";

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
