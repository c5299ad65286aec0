import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
// @ts-types="@types/pg"
import pg from "pg";
import { migrate } from "../../db/migrate.ts";
import { type PostgresServer, startPostgres } from "../../dev/postgres.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { type LegacyServer, startLegacy } from "./server.ts";

Deno.test("a key of the body runs as SQL: one request reads every password hash", async () => {
  await using plant = await startOldPlant();
  await plant.sql(
    `insert into auth.users (email, encrypted_password) values ('boss@plant.example', 'hash-1')`,
  );

  const stolen = "lot_code) select email || ' ' || encrypted_password from auth.users union all --";
  const response = await plant.post("/api/lots", { [stolen]: "x" });

  deepStrictEqual([response.status, response.body.lot_code], [201, "boss@plant.example hash-1"]);
});

Deno.test("the database's messages reach the client", async () => {
  await using plant = await startOldPlant();
  const response = await plant.post("/api/lots", { lot_code: "L-1", colour: "red" });
  deepStrictEqual(
    [response.status, response.body],
    [500, { error: 'column "colour" of relation "lots" does not exist' }],
  );
});

Deno.test("a connection stays usable after an unread body, as Node's does", async () => {
  await using old = await startLegacy({ databaseUrl: "postgres://127.0.0.1:1/none", port: 0 });
  const body = "x".repeat(131_072);
  const head = `POST /api/lots HTTP/1.1\r\nHost: plant\r\nContent-Length: ${body.length}\r\n\r\n`;
  for (let round = 0; round < 5; round++) {
    using client = openRawClient(Number(new URL(old.url).port), head + body);
    await client.until((received) => received.startsWith("HTTP/1.1 500 "));
    client.write("GET /api/health HTTP/1.1\r\nHost: plant\r\n\r\n");
    await client.until((received) => received.includes("HTTP/1.1 200 "));
  }
});

Deno.test("a restart of PostgreSQL is a failed request, not the end of the process", async () => {
  await using plant = await startOldPlant();
  strictEqual((await plant.post("/api/lots", { lot_code: "L-1" })).status, 201);
  await plant.postgres.stop();
  strictEqual((await plant.post("/api/lots", { lot_code: "L-2" })).status, 500);
  await plant.postgres.start();
  strictEqual((await plant.post("/api/lots", { lot_code: "L-3" })).status, 201);
});

Deno.test("it listens on loopback only", async () => {
  await using old = await startLegacy({ databaseUrl: "postgres://127.0.0.1:1/none", port: 0 });
  match(old.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  strictEqual((await (await fetch(`${old.url}/api/health`)).json()).status, "ok");
});

/** An old server with its own database, with the old schema and no rows. */
interface OldPlant extends AsyncDisposable {
  postgres: PostgresServer;
  post(path: string, body: unknown): Promise<{ status: number; body: Record<string, unknown> }>;
  sql(statement: string): Promise<void>;
}

async function startOldPlant(): Promise<OldPlant> {
  const stack = new AsyncDisposableStack();
  const folder = stack.adopt(
    await Deno.makeTempDir(),
    (path) => Deno.remove(path, { recursive: true }),
  );
  const postgres = stack.use(
    await startPostgres({ major: 17, dataDir: join(folder, "data"), settings: { fsync: "off" } }),
  );
  await migrate(postgres.url, () => {});
  const old: LegacyServer = stack.use(
    await startLegacy({ databaseUrl: postgres.url, port: 0 }),
  );
  return {
    postgres,
    async post(path, body) {
      const response = await fetch(old.url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return { status: response.status, body: await response.json() };
    },
    async sql(statement) {
      const client = new pg.Client({ connectionString: postgres.url });
      await client.connect();
      await client.query(statement);
      await client.end();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
