import { deepStrictEqual } from "node:assert/strict";
import { startFaultyProxy } from "../testing/planted_fault.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startLegacy } from "../legacy/server.ts";
import { liveRulesOf, loadApprovals } from "../compare/approvals.ts";
import { recordingRedactor, recordRequests, type RedactRecorded } from "./record_requests.ts";
import { parseRequestList } from "./request_list.ts";
import { verifySafe } from "./verify.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { createRedactor } from "../redact/redact.ts";

const LIST = `GET /api/health
GET /api/traceability/MIX-BATCH-88
GET /api/traceability/DEB-20260118-DUNA-0001
`;
// The redactor would replace these paths, so that they couldn't be sent again.
const ODD_LIST = `GET /api/traceability/%E0%A4%A
GET /api/traceability/A%00B
GET /api/nope
`;
const redactor = createRedactor("a secret of more than thirty-two characters");
const unredacted: RedactRecorded = (request, received) => ({ request, received });

Deno.test("Lotline's responses pass against live recordings of the old server by the gateway's rules alone", async () => {
  await using database = await freshDatabase();
  await resetToSeed(database.sql, await loadSeed());
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  await using api = await startApi({ databaseUrl: database.url });
  const of = { base: old.url, allowWrites: false, token: undefined };
  const files = [
    await recordRequests(of, parseRequestList(LIST), recordingRedactor(redactor)),
    await recordRequests(of, parseRequestList(ODD_LIST), unredacted),
  ];
  const rules = liveRulesOf(await loadApprovals());
  const verdicts = async (base: string, approved: typeof rules) => {
    const reports = await Promise.all(
      files.map(({ recordings }) =>
        verifySafe({ base, token: undefined, redactor }, recordings, [], approved)
      ),
    );
    return reports.flatMap(({ outcomes }) =>
      outcomes.map(({ verdict, approval }) => approval ?? verdict)
    );
  };

  deepStrictEqual(await verdicts(api.url, rules), [
    "same",
    "same",
    "same",
    "json-errors",
    "client-fault",
    // No operation of the contract, so no rule of the gateway covers it.
    "wrong",
  ]);
  deepStrictEqual(await verdicts(api.url, []), [
    "same",
    "same",
    "same",
    "wrong",
    "wrong",
    "wrong",
  ]);

  await using faulty = await startFaultyProxy(api.url, (response) => ({
    ...response,
    body: response.body.replace('"540.0"', '"540"'),
  }));
  deepStrictEqual((await verdicts(faulty.url, rules))[1], "wrong");
});
