import { ok, strictEqual } from "node:assert/strict";
import { migrate } from "../db/migrate.ts";
import { openLinkTo } from "../testing/black_hole.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { demote, promote, setReadOnly, signalCluster, startPair } from "../testing/standby.ts";
import { startService } from "./failover.ts";

const READ_ONLY = "The database is read-only";

/**
 * Connections may be used until the next departure, and the one after it finds the new server. On a
 * busy machine a departure comes late.
 */
const MAX_FAILED_ROUNDS = 5;

Deno.test("when the primary is killed, the next writes go to the promoted standby of the address", async () => {
  await using pair = await startPair();
  await using service = await startService(pair.url);
  strictEqual(await service.round(), 0);
  await service.runsJobs();
  await pair.primary.kill();
  ok(await service.round() > 0);
  await service.readiness(503, READ_ONLY);
  await promote(pair.standby);
  ok(await service.roundsUntilStored() <= MAX_FAILED_ROUNDS);
  await service.readiness(200, "ready");
  await service.runsJobs();
  await service.storedOfRefused(pair.standby.url);
});

Deno.test("when the address leads to another server, connections to the demoted one are left", async () => {
  await using pair = await startPair();
  await using link = await openLinkTo(pair.primary.url);
  await using service = await startService(link.url);
  strictEqual(await service.round(), 0);
  await service.runsJobs();
  // The old primary lives on as a standby, and the connections to it stay open.
  await setReadOnly(pair.primary, "on");
  ok(await service.round() > 0);
  await service.readiness(503, READ_ONLY);
  await promote(pair.standby);
  link.lead(pair.standby.port);
  ok(await service.roundsUntilStored() <= MAX_FAILED_ROUNDS);
  await service.readiness(200, "ready");
  await service.runsJobs();
  strictEqual(await service.storedOfRefused(pair.standby.url), 0);
});

Deno.test("a primary that comes back as a standby is read-only, and its promotion is enough", async () => {
  await using postgres = await ownPostgres();
  const { server } = postgres;
  await migrate(server.url, () => {});
  await using service = await startService(server.url);
  strictEqual(await service.round(), 0);
  await demote(server);
  await service.readiness(503, READ_ONLY);
  ok(await service.round() > 0);
  ok(await service.round() > 0);
  await promote(server);
  ok(await service.roundsUntilStored() <= MAX_FAILED_ROUNDS);
  await service.readiness(200, "ready");
  await service.runsJobs();
  await service.storedOfRefused(server.url);
});

Deno.test("a server that is set read-only serves again as soon as it isn't", async () => {
  await using postgres = await ownPostgres();
  const { server } = postgres;
  await migrate(server.url, () => {});
  await using service = await startService(server.url);
  strictEqual(await service.round(), 0);
  await setReadOnly(server, "on");
  for (let n = 0; n < 3; n++) strictEqual(await service.round(), 28);
  await service.readiness(503, READ_ONLY);
  await setReadOnly(server, "off");
  ok(await service.roundsUntilStored() <= MAX_FAILED_ROUNDS);
  await service.readiness(200, "ready");
  await service.runsJobs();
  strictEqual(await service.storedOfRefused(server.url), 0);
});

Deno.test("when the primary's machine freezes, the promoted standby of the address is used", async () => {
  await using pair = await startPair();
  await using service = await startService(pair.url);
  strictEqual(await service.round(), 0);
  await signalCluster(pair.primary, "SIGSTOP");
  try {
    ok(await service.round() > 0);
    await promote(pair.standby);
    ok(await service.roundsUntilStored() <= MAX_FAILED_ROUNDS);
    await service.readiness(200, "ready");
    await service.runsJobs();
    await service.storedOfRefused(pair.standby.url);
  } finally {
    await signalCluster(pair.primary, "SIGCONT");
  }
});
