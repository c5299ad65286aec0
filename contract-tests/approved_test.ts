import { strictEqual, throws } from "node:assert/strict";
import { parseApproved } from "./approved.ts";

const ENTRY = `
- id: client-fault
  reason: What the client sent wrong is a 4xx.
  approved: 2026-11-23
  review: 2027-05-24
  contract:
    - { operation: login, text: a }
`;
const LINE = "    - { operation: login, text: a }\n";

const BROKEN: [what: string, text: string, message: RegExp][] = [
  ["no reason", ENTRY.replace(/.*reason.*\n/, ""), /"reason"/],
  ["no date of approval", ENTRY.replace(/.*approved:.*\n/, ""), /"approved"/],
  ["no date of review", ENTRY.replace(/.*review:.*\n/, ""), /"review"/],
  ["a review before the approval", ENTRY.replace("2027-05-24", "2026-11-22"), /must come after/],
  ["an unknown field", ENTRY.replace("reason:", "because: x\n  reason:"), /because/],
  ["no change", ENTRY.replace(`\n${LINE}`, " []\n"), /"contract"/],
  ["one change twice", ENTRY + LINE, /login, a stands twice/],
  ["a change of a new operation", ENTRY.replace("login", "createAudit"), /"operation/],
  ["one id twice", ENTRY + ENTRY.replace("text: a", "text: b"), /client-fault stands twice/],
];

for (const [what, text, message] of BROKEN) {
  Deno.test(`approved changes of the document with ${what} are refused`, () => {
    strictEqual(parseApproved(ENTRY).length, 1);
    throws(
      () => parseApproved(text),
      (error: Error) => message.test(error.message.replaceAll("\\", "")),
    );
  });
}
