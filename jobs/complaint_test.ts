import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createComplaint } from "./complaint.ts";

Deno.test("what fails all the time is told of once, and what fails at times once a minute", () => {
  let now = 0;
  const lines: unknown[] = [];
  const complaint = createComplaint(
    (level, msg, fields) => lines.push([level, msg, fields?.failures]),
    "it can't",
    () => now,
  );
  for (let failures = 1; failures <= 500; failures++) {
    strictEqual(complaint.failed("no"), failures);
    now += 500;
  }
  deepStrictEqual(lines, [["warn", "it can't", 1]]);
  strictEqual(complaint.worked(), true);
  strictEqual(complaint.worked(), false);
  lines.length = 0;
  for (let turn = 0; turn < 240; turn++) {
    now += 500;
    strictEqual(complaint.failed("no"), 1);
    complaint.worked();
  }
  deepStrictEqual(lines, [["warn", "it can't", 500], ["warn", "it can't", 120]]);
  // One that began within the minute, and lasts, is told of after it.
  complaint.failed("no");
  strictEqual(lines.length, 2);
  now += 60_000;
  complaint.failed("no");
  strictEqual(lines.length, 3);
});
