import { ok, strictEqual } from "node:assert/strict";
import { openLinkTo } from "../testing/black_hole.ts";
import { eventually } from "../testing/eventually.ts";
import { startPgBouncer } from "../testing/pgbouncer.ts";
import { promote, setReadOnly, startPair } from "../testing/standby.ts";
import { startService } from "./failover.ts";

// Another server behind PgBouncer, whose address stays the same for Lotline.

Deno.test("behind a pooler a demoted server is read-only, until the pooler leaves it", async () => {
  await using pair = await startPair();
  await using link = await openLinkTo(pair.primary.url);
  await using bouncer = await startPgBouncer(link.url, {
    release: "trixie",
    settings: { max_prepared_statements: "100", server_login_retry: "1" },
  });
  await using service = await startService(bouncer.through(link.url), link.url);
  strictEqual(await service.round(), 0);
  await setReadOnly(pair.primary, "on");
  ok(await service.round() > 0);
  await service.readiness(503, "The database is read-only");
  await promote(pair.standby);
  link.lead(pair.standby.port);
  await bouncer.command("reconnect");
  await service.roundsUntilStored();
  await service.readiness(200, "ready");
  strictEqual(await service.storedOfRefused(pair.standby.url), 0);
});

Deno.test("behind a pooler a killed server's successor is used as soon as the pooler has it", async () => {
  await using pair = await startPair();
  await using link = await openLinkTo(pair.primary.url);
  await using bouncer = await startPgBouncer(link.url, { settings: { server_login_retry: "1" } });
  await using service = await startService(bouncer.through(link.url), link.url);
  strictEqual(await service.round(), 0);
  await pair.primary.kill();
  await eventually("a round is refused", async () => await service.round() > 0);
  await promote(pair.standby);
  link.lead(pair.standby.port);
  await service.roundsUntilStored();
  await service.readiness(200, "ready");
  await service.storedOfRefused(pair.standby.url);
});
