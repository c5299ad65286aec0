import { strictEqual } from "node:assert/strict";
import { type Outcome, passed, type Report } from "../parity/verify.ts";
import { formatReport } from "./verify_report.ts";

const same: Outcome = {
  exchange: "health #0",
  request: "GET /api/health",
  operation: "getHealth",
  verdict: "same",
  approval: undefined,
  status: 200,
  used: [],
  differences: [],
};
const good: Report = { outcomes: [same], unused: [], due: [] };

Deno.test("a due review is a warning, and fails nothing", () => {
  const report = { ...good, due: ["unicode: the review was due on 2027-05-24"] };
  strictEqual(passed(report), true);
  strictEqual(
    formatReport(report),
    "WARNING approval unicode: the review was due on 2027-05-24\n" +
      "1 the same, 0 changed as approved, 0 wrong, of 1 exchanges",
  );
});

Deno.test("each difference has its own line, and says which approval didn't cover it", () => {
  const wrong: Outcome = {
    ...same,
    exchange: "lot: no code #0",
    request: "POST /api/lots",
    verdict: "wrong",
    approval: "client-fault",
    differences: ["status 500 -> 400, approved: 422", "ETag: weak -> (none)"],
  };
  const report = { ...good, outcomes: [same, wrong] };
  strictEqual(passed(report), false);
  strictEqual(
    formatReport(report),
    "WRONG lot: no code #0 (POST /api/lots, approved by client-fault): status 500 -> 400, approved: 422\n" +
      "WRONG lot: no code #0 (POST /api/lots, approved by client-fault): ETag: weak -> (none)\n" +
      "1 the same, 0 changed as approved, 1 wrong, of 2 exchanges",
  );
});

Deno.test("an unused approval fails a check without other faults", () => {
  const report = { ...good, unused: ['unicode: "lot: x #0" needs no approval'] };
  strictEqual(passed(report), false);
  strictEqual(
    formatReport(report),
    'UNUSED approval unicode: "lot: x #0" needs no approval\n' +
      "1 the same, 0 changed as approved, 0 wrong, of 1 exchanges; 1 approvals unused",
  );
});
