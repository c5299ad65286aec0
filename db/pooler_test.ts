import { deepStrictEqual, rejects } from "node:assert/strict";
import { Buffer } from "node:buffer";
import net from "node:net";
import { freshDatabase } from "../testing/database.ts";
import { IGNORED_PARAMETERS, startPgBouncer } from "../testing/pgbouncer.ts";
import { postgresUrl } from "../testing/postgres_servers.ts";
import { listen } from "../testing/test_server.ts";
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

Deno.test("PgBouncer in session mode refuses our settings too, and is used as in transaction mode", async () => {
  await using database = await freshDatabase({ migrated: false });
  await using bouncer = await startPgBouncer(database.url, { settings: { pool_mode: "session" } });
  const sql = connect({ url: bouncer.through(database.url, "pool_mode=auto"), max: 2 });
  for (let round = 0; round < 3; round++) {
    const rows =
      await sql`select current_setting('statement_timeout') as timeout, ${round}::int as n`;
    deepStrictEqual([...rows], [{ timeout: "4s", n: round }]);
  }
  await sql.end();
});

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

Deno.test("a pooler that drops the protocol's Flush is refused, and no statement runs through it", async () => {
  await using database = await freshDatabase({ migrated: false });
  await database.sql`create table kept (number int)`;
  await using proxy = await startWithoutFlush(Number(new URL(database.url).port));
  const url = Object.assign(new URL(database.url), { port: proxy.port });
  const sql = connect({ url: `${url.href}?pool_mode=transaction&sslmode=disable`, max: 1 });
  await rejects(sql`insert into kept values (1)`, { message: /nothing from PostgreSQL in/ });
  await sql.end();
  deepStrictEqual([...await database.sql`select from kept`], []);
});

/** A proxy that drops each Flush of its clients. */
async function startWithoutFlush(target: number) {
  const server = net.createServer((client) => {
    const upstream = net.connect(target, "127.0.0.1");
    let rest = Buffer.alloc(0);
    // The first message has no type.
    let head = 0;
    client.on("data", (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length >= head + 4) {
        const length = head + rest.readUInt32BE(head);
        if (rest.length < length) return;
        if (head === 0 || rest[0] !== "H".charCodeAt(0)) upstream.write(rest.subarray(0, length));
        rest = rest.subarray(length);
        head = 1;
      }
    });
    upstream.on("data", (bytes) => client.write(bytes));
    for (const [one, other] of [[client, upstream], [upstream, client]] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
  });
  return {
    port: String(await listen(server)),
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
