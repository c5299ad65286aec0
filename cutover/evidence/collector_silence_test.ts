import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { migrate } from "../../db/migrate.ts";
import { openSession } from "../../db/session.ts";
import { openLinkTo } from "../../testing/black_hole.ts";
import { makeAuthority } from "../../testing/certificates.ts";
import { eventually } from "../../testing/eventually.ts";
import { tlsPostgres } from "../../testing/postgres_servers.ts";
import { temporaryFolder } from "../../testing/temporary_folder.ts";
import { routeIn } from "../testing/findings.ts";
import { DRY_RUN_SECRET } from "../testing/shadow_rig.ts";
import { createRedactor } from "../redact/redact.ts";
import { startCollector } from "./collector.ts";

const redactor = createRedactor(DRY_RUN_SECRET);

for (const sslmode of ["disable", "require"]) {
  Deno.test(`evidence is stored over a healed network that lost all bytes (sslmode=${sslmode})`, async () => {
    await using folder = await temporaryFolder();
    const authority = await makeAuthority(folder.path);
    await using postgres = await tlsPostgres(await authority.issue({}));
    await migrate(postgres.server.url, () => {});
    await using link = await openLinkTo(postgres.address({ query: `sslmode=${sslmode}` }));
    await using collector = startCollector({ databaseUrl: link.url, redactor, log: () => {} });
    const count = () => collector.responded("login", routeIn("login", 1), "legacy", 200, 5);
    count();
    strictEqual(await collector.flush(), true);
    strictEqual(collector.lagMs, 0);
    link.swallow();
    count();
    strictEqual(await collector.flush(), false);
    ok(collector.lagMs > 100, `${collector.lagMs} ms behind`);
    link.heal();
    await eventually("it is through", async () => await collector.flush());
    strictEqual(collector.lagMs, 0);
    await using session = openSession(postgres.server.url, { name: "lotline-test" });
    const stored = await session.sql`
      select sum(requests)::int as requests from lotline.route_answers`;
    const connections = await session.sql`
      select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid)
      where application_name = 'lotline-gateway-evidence'`;
    deepStrictEqual([...stored], [{ requests: 2 }]);
    deepStrictEqual([...connections], [{ ssl: sslmode === "require" }]);
  });
}
