import { deepStrictEqual } from "node:assert/strict";
import { IGNORED_PARAMETERS, startPgBouncer } from "../testing/pgbouncer.ts";
import { postgresUrl } from "../testing/postgres_servers.ts";
import { parseAddress } from "./address.ts";
import { poolerOf } from "./pooler.ts";

const NEWER = [
  { settings: { max_prepared_statements: "0" }, prepared: false },
  { settings: { max_prepared_statements: "200" }, prepared: true },
];
const POOLERS = [
  { release: "bookworm" as const, settings: {}, prepared: false },
  ...NEWER.map((one) => ({ release: "trixie" as const, ...one })),
];

for (const { release, settings, prepared } of POOLERS) {
  for (const ignores of [false, true]) {
    const name = `${release}, prepared ${prepared}, ${ignores ? "ignoring" : "refusing"}`;
    Deno.test(`PgBouncer is found (${name})`, async () => {
      const server = await postgresUrl(17);
      await using bouncer = await startPgBouncer(server, {
        release,
        settings: {
          ...settings,
          ...(ignores && { ignore_startup_parameters: IGNORED_PARAMETERS }),
        },
      });
      const pooler = await poolerOf(parseAddress(bouncer.through(server, "pool_mode=auto")));
      deepStrictEqual(pooler, { kind: "transaction", prepared });
    });
  }
}

Deno.test("PostgreSQL itself is no pooler", async () => {
  const pooler = await poolerOf(parseAddress(`${await postgresUrl(17)}?pool_mode=auto`));
  deepStrictEqual(pooler, { kind: "none" });
});
