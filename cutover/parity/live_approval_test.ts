import { deepStrictEqual } from "node:assert/strict";
import { startFaultyProxy } from "../testing/planted_fault.ts";
import { loadSeed, resetToSeed } from "../../dev/seed.ts";
import { startLegacy } from "../legacy/server.ts";
import { liveRulesOf, loadApprovals } from "../compare/approvals.ts";
import { recordRequests } from "./record_requests.ts";
import { parseRequestList } from "./request_list.ts";
import { verifySafe } from "./verify_safe.ts";
import { startApi } from "../../testing/api.ts";
import { freshDatabase } from "../../testing/database.ts";
import { createRecordingRedactor } from "../record/recording_redactor.ts";
import { createRedactor } from "../redact/redact.ts";

const LIST = `GET /api/health
GET /api/traceability/MIX-BATCH-88
GET /api/traceability/%E0%A4%A
GET /api/traceability/A%00B
GET /api/nope
`;

Deno.test("Lotline's responses pass against live recordings of the old server by the gateway's rules alone", async () => {
  await using database = await freshDatabase();
  await resetToSeed(database.sql, await loadSeed());
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  await using api = await startApi({ databaseUrl: database.url });
  const { recordings } = await recordRequests(
    { base: old.url, allowWrites: false, token: undefined },
    parseRequestList(LIST),
    createRecordingRedactor(createRedactor("a secret of more than thirty-two characters")),
  );
  const rules = liveRulesOf(await loadApprovals());
  const verdicts = async (base: string, approved: typeof rules) => {
    const { outcomes } = await verifySafe(
      { base, token: undefined },
      recordings,
      [],
      approved,
    );
    return outcomes.map(({ verdict, approval }) => approval ?? verdict);
  };

  deepStrictEqual(await verdicts(api.url, rules), [
    "same",
    "same",
    "json-errors",
    "client-fault",
    // No operation of the contract, so no rule of the gateway covers it.
    "wrong",
  ]);
  deepStrictEqual(await verdicts(api.url, []), ["same", "same", "wrong", "wrong", "wrong"]);

  await using faulty = await startFaultyProxy(api.url, (response) => ({
    ...response,
    body: response.body.replace('"540.0"', '"540"'),
  }));
  deepStrictEqual((await verdicts(faulty.url, rules))[1], "wrong");
});
