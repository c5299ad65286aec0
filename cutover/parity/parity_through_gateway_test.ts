import { strictEqual } from "node:assert/strict";
import { verify } from "./verify.ts";
import { formatReport } from "../report/verify_report.ts";
import { loadRecordings } from "./recordings.ts";
import { loadSeed } from "../../dev/seed.ts";
import { startLegacy } from "../legacy/server.ts";
import { freshDatabase } from "../../testing/database.ts";
import { startTestGatewayServer } from "../testing/gateway_server.ts";

Deno.test("through the gateway, every recorded response of the old server is the same", async () => {
  await using database = await freshDatabase();
  await using old = await startLegacy({ databaseUrl: database.url, port: 0 });
  await using gateway = await startTestGatewayServer({ legacyUrl: old.url });
  const subject = { base: gateway.url, sql: database.sql, seed: await loadSeed() };
  strictEqual(
    formatReport(await verify(subject, await loadRecordings())),
    "147 the same, 0 changed as approved, 0 wrong, of 147 exchanges",
  );
});
