import { deepStrictEqual, ok, throws } from "node:assert/strict";
import {
  type Approved,
  listDueReviews,
  listUnused,
  loadApprovals,
  parseApprovals,
  recordedRulesOf,
} from "./approvals.ts";
import { exchangeName, loadRecordings } from "../parity/recordings.ts";

const ENTRY = `
- id: client-fault
  reason: What the client sent wrong is a 4xx.
  approved: 2026-11-23
  review: 2027-05-24
  answers:
    - { exchange: "lot: no code #0", status: [422] }
    - { exchange: "lot: code taken #1", status: [409] }
`;

Deno.test("an approval matches the exchange's full name only", () => {
  const approvals = parseApprovals(ENTRY);
  deepStrictEqual(recordedRulesOf(approvals, "lot: code taken #1"), [
    { id: "client-fault", service: [409], place: undefined },
  ]);
  deepStrictEqual(recordedRulesOf(approvals, "lot: code taken #0"), []);
});

Deno.test("an unused approval is named: no change, no such exchange, no such status", () => {
  const approvals = parseApprovals(ENTRY.replace("[422]", "[422, 400]"));
  const approved = (exchange: string, status: number): Approved => {
    return { exchange, status, verdict: "approved", used: recordedRulesOf(approvals, exchange) };
  };
  const code = approved("lot: no code #0", 422);
  const taken = approved("lot: code taken #1", 409);
  deepStrictEqual(listUnused(approvals, [code, taken]), [
    'client-fault: "lot: no code #0" is answered with 422, never with 400',
  ]);
  const needless = ['client-fault: "lot: code taken #1" needs no approval'];
  deepStrictEqual(listUnused(parseApprovals(ENTRY), [code]), needless);
  const same: Approved = { ...taken, verdict: "same", used: [] };
  deepStrictEqual(listUnused(parseApprovals(ENTRY), [code, same]), needless);
  const wrong: Approved = { ...same, verdict: "wrong" };
  deepStrictEqual(listUnused(parseApprovals(ENTRY), [code, wrong]), [], "it is reported elsewhere");
});

Deno.test("a review is due from its date on", () => {
  const approvals = parseApprovals(ENTRY);
  deepStrictEqual(listDueReviews(approvals, "2027-05-23"), []);
  deepStrictEqual(listDueReviews(approvals, "2027-05-24").length, 1);
});

const BROKEN: [what: string, text: string, message: RegExp][] = [
  ["no reason", ENTRY.replace(/.*reason.*\n/, ""), /"reason"/],
  ["no date of approval", ENTRY.replace(/.*approved:.*\n/, ""), /"approved"/],
  ["no date of review", ENTRY.replace(/.*review:.*\n/, ""), /"review"/],
  ["a date that isn't one", ENTRY.replace("2027-05-24", "2027-02-30"), /Invalid ISO date/],
  ["a review before the approval", ENTRY.replace("2027-05-24", "2026-11-22"), /must come after/],
  ["an unknown field", ENTRY.replace("reason:", "because: x\n  reason:"), /because/],
  ["an exchange without a step", ENTRY.replace("no code #0", "no code"), /"exchange"/],
  ["no status", ENTRY.replace("[409]", "[]"), /"status"/],
  ["one exchange twice", ENTRY.replace("code taken #1", "no code #0"), /no code #0 stands twice/],
  ["one status twice", ENTRY.replace("[409]", "[409, 409]"), /status 409 .* stands twice/],
  ["a change of the document", `${ENTRY}  contract: [{ operation: login, text: a }]\n`, /contract/],
  [
    "neither recorded responses nor live ones",
    ENTRY.slice(0, ENTRY.indexOf("  answers")),
    /names answers/,
  ],
  ["one id twice", ENTRY + ENTRY.replaceAll("#", "again #"), /client-fault stands twice/],
];

for (const [what, text, message] of BROKEN) {
  Deno.test(`approvals with ${what} are refused`, () => {
    throws(() => parseApprovals(text), message);
  });
}

Deno.test("each approval of this project is for a recorded exchange", async () => {
  const { scenarios } = await loadRecordings();
  const names = scenarios.flatMap((scenario) =>
    scenario.steps.map((_, step) => exchangeName(scenario, step))
  );
  for (const { id, responses } of await loadApprovals()) {
    for (const { exchange } of responses) ok(names.includes(exchange), `${id}: ${exchange}`);
  }
});
