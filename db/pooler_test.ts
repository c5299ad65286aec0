import { deepStrictEqual, rejects } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { IGNORED_PARAMETERS, startPgBouncer } from "../testing/pgbouncer.ts";
import { postgresUrl } from "../testing/postgres_servers.ts";
import { parseAddress } from "./address.ts";
import { connect } from "./connect.ts";
import { poolerOf } from "./pooler.ts";
import { problemOf } from "./problems.ts";

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

for (const release of ["bookworm", "trixie"] as const) {
  Deno.test(`a login by SCRAM reaches PostgreSQL through PgBouncer, and a wrong one is refused (${release})`, async () => {
    await using database = await freshDatabase({ migrated: false });
    const [user, password] = [`pooled_${crypto.randomUUID().slice(0, 8)}`, "a p@ss:word/é%"];
    await database.sql.unsafe(`create role ${user} login`);
    await using bouncer = await startPgBouncer(database.url, {
      release,
      settings: { auth_type: "scram-sha-256" },
      users: { [user]: password },
    });
    const login = async (password: string) => {
      const url = Object.assign(new URL(bouncer.through(database.url, "pool_mode=auto")), {
        username: user,
        password: encodeURIComponent(password),
      });
      const sql = connect({ url: url.href, max: 1 });
      try {
        const [row] = await sql`select current_user as name, ${1}::int as one`;
        return row;
      } finally {
        await sql.end();
      }
    };
    deepStrictEqual({ ...await login(password) }, { name: user, one: 1 });
    await rejects(login("another"), (error) => problemOf(error)?.kind === "refused_login");
    await database.sql.unsafe(`drop role ${user}`);
  });
}
