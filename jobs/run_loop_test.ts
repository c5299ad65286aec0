import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createFailureLog } from "./run_loop.ts";

Deno.test("failures are logged once a minute, with the number of failures in between", () => {
  let now = 0;
  const lines: unknown[] = [];
  const complaint = createFailureLog(
    (level, event, fields) => lines.push([level, event, fields?.left_out]),
    "it can't",
    () => now,
  );
  for (let failures = 1; failures <= 121; failures++) {
    strictEqual(complaint.failed("no"), failures);
    now += 500;
  }
  deepStrictEqual(lines, [["warn", "it can't", undefined], ["warn", "it can't", 119]]);
  strictEqual(complaint.succeeded(), true);
  strictEqual(complaint.succeeded(), false);
  // A success in between doesn't restart the minute.
  strictEqual(complaint.failed("no"), 1);
  strictEqual(complaint.succeeded(), false);
  strictEqual(lines.length, 2);
});
