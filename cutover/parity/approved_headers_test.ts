import { deepStrictEqual, match, throws } from "node:assert/strict";
import { parseApprovals } from "../compare/approvals.ts";
import type { ReceivedResponse } from "./exchange.ts";
import type { RecordedResponse } from "./recordings.ts";
import { formatEvidence, formatReport } from "../report/verify_report.ts";
import { outcomeOf, passed, reportOf } from "./verify.ts";

const entry = (id: string, received: string) => `
- id: ${id}
  reason: A proxy in front of the old server adds it.
  approved: 2026-11-23
  review: 2999-05-24
  answers:
    - { ${received} }
`;
const CACHE = entry("no-store", 'exchange: "a #0", status: [200], place: header.cache-control');
const TAG = entry("no-tags", 'exchange: "a #0", status: [200], place: header.etag');
const ERROR = entry("json-errors", 'exchange: "a #0", status: [404]');

const TYPE = { "content-type": "application/json; charset=utf-8" };
const recorded = (more: Partial<RecordedResponse> = {}): RecordedResponse => ({
  status: 200,
  headers: { ...TYPE, "cache-control": "no-store", vary: "Accept-Encoding" },
  body: "{}",
  ...more,
});
const actual = (more: Partial<ReceivedResponse> = {}): ReceivedResponse => ({
  status: 200,
  headers: TYPE,
  body: "{}",
  etag: undefined,
  ...more,
});

/** The result of one exchange, and the approvals' use. */
function verified(text: string, response: RecordedResponse, received: ReceivedResponse) {
  const times = { from: "2026-11-25T08:00:00.000Z", to: "2026-11-25T08:01:00.000Z" };
  const known = { given: "", recorded: times, actual: times, made: new Map<string, string>() };
  const request = { method: "GET", path: "/api/health", headers: {} };
  const approvals = parseApprovals(text || "[]");
  const outcome = outcomeOf("a #0", { request, response }, received, known, approvals);
  return reportOf([outcome], approvals);
}
const short = (report: ReturnType<typeof verified>) =>
  report.outcomes.map(({ verdict, approval, differences }) => [verdict, approval, differences]);

Deno.test("an exchange is approved to differ in a header by the header's name", () => {
  const report = verified(CACHE, recorded(), actual());
  deepStrictEqual(short(report), [["approved", "no-store", []]]);
  deepStrictEqual(passed(report), true, formatReport(report));
  match(
    formatEvidence(report, "http://x", new Date(0)),
    /\| getHealth \| 1 \| 0 \| no-store: 1 \|/,
  );
  const both = verified(CACHE + TAG, recorded({ etag: true }), actual());
  deepStrictEqual(short(both), [["approved", "no-store, no-tags", []]]);
  deepStrictEqual(both.unused, []);
});

Deno.test("without an approval, or with one of another header, it is wrong", () => {
  const line = "header cache-control: no-store -> (none)";
  deepStrictEqual(short(verified("", recorded(), actual())), [["wrong", undefined, [line]]]);
  const other = verified(TAG, recorded({ etag: true }), actual());
  deepStrictEqual(short(other), [["wrong", "no-tags", [line]]]);
});

Deno.test("an approved header approves nothing else of the exchange", () => {
  const report = verified(CACHE, recorded(), actual({ body: "[]" }));
  deepStrictEqual(short(report), [["wrong", "no-store", ["body: {} -> []"]]]);
  const status = verified(CACHE, recorded(), actual({ status: 203 }));
  deepStrictEqual(status.outcomes[0]?.verdict, "wrong");
});

Deno.test("it combines with an approval of the exchange itself", () => {
  const page = recorded({ status: 404, body: "<pre>no</pre>" });
  const error = actual({ status: 404, body: '{"error":"No."}' });
  const report = verified(ERROR + CACHE.replace("[200]", "[404]"), page, error);
  deepStrictEqual(short(report), [["approved", "json-errors, no-store", []]]);
  deepStrictEqual(report.unused, []);
});

Deno.test("an approved header that doesn't differ is named as unused", () => {
  const unused = 'no-store: "a #0" needs no approval of header cache-control';
  const same = recorded({ headers: TYPE });
  deepStrictEqual(verified(CACHE, same, actual()).unused, [unused]);
  const changed = verified(CACHE + TAG, recorded({ headers: TYPE, etag: true }), actual());
  deepStrictEqual(changed.unused, [unused]);
  const own = verified(CACHE + ERROR.replace("404", "200"), recorded(), actual());
  deepStrictEqual(own.unused, ['json-errors: "a #0" needs no approval']);
  const status = verified(CACHE.replace("[200]", "[200, 201]"), recorded(), actual());
  deepStrictEqual(status.unused, ['no-store: "a #0" is answered with 200, never with 201']);
});

Deno.test("an exchange may have one approval for each compared header, and none for others", () => {
  throws(() => parseApprovals(CACHE + CACHE.replace("no-store", "again")), /stands twice/);
  throws(() => parseApprovals(CACHE.replace("cache-control", "server")), /"place"/);
  throws(() => parseApprovals(CACHE.replace("header.cache-control", "body.id")), /"place"/);
});
