import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { migrate } from "../db/migrate.ts";
import { startApi, type TestApi } from "../testing/api.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { ownPostgres } from "../testing/postgres_servers.ts";
import { Liveness, Readiness } from "./probes.ts";
import { ErrorResponse } from "./responses.ts";

const { api, databaseUrl } = await apiOnSeed();

/** Waits until readiness shows this state of Valkey; the service is ready in any state. */
const untilValkeyIs = (state: string, requested: TestApi) =>
  eventually(`Valkey is ${state}`, async () => {
    const response = await requested.get("/readyz");
    strictEqual(response.status, 200);
    return Readiness.parse(response.json).valkey === state;
  });

Deno.test("a running process is live", async () => {
  const response = await api.get("/livez");
  deepStrictEqual([response.status, Liveness.parse(response.json)], [200, { status: "live" }]);
});

Deno.test("a process without a configured Valkey is ready, and shows that it has none", async () => {
  const response = await api.get("/readyz");
  deepStrictEqual([response.status, Readiness.parse(response.json)], [200, {
    status: "ready",
    valkey: "off",
  }]);
});

Deno.test("a process is ready in any state of its Valkey: up, silent, killed, up again", async () => {
  await using valkey = await ownValkey();
  await using withValkey = await startApi({
    databaseUrl,
    environment: { VALKEY_URL: valkey.server.url },
  });
  await untilValkeyIs("up", withValkey);

  valkey.server.pause();
  const silent = await fetch(`${withValkey.url}/readyz`, { signal: AbortSignal.timeout(10_000) });
  deepStrictEqual(await silent.json(), {
    status: "ready",
    valkey: "away",
    valkey_problem: "silent",
  });
  valkey.server.resume();
  await untilValkeyIs("up", withValkey);

  await valkey.server.kill();
  await untilValkeyIs("away", withValkey);
  strictEqual((await withValkey.get("/api/traceability/MIX-BATCH-88")).status, 200);

  await valkey.server.start();
  await untilValkeyIs("up", withValkey);
});

Deno.test("a process without PostgreSQL is live but not ready, and ready when it is back", async () => {
  await using postgres = await ownPostgres();
  await migrate(postgres.server.url, () => {});
  await using onIt = await startApi({ databaseUrl: postgres.server.url });
  strictEqual((await onIt.get("/readyz")).status, 200);

  await postgres.server.stop();
  const gone = await onIt.get("/readyz");
  deepStrictEqual([gone.status, gone.headers.get("retry-after"), ErrorResponse.parse(gone.json)], [
    503,
    "1",
    {
      error: "The database can't be reached",
      details: [{
        path: "database",
        message: "check host and port in DATABASE_URL, and that PostgreSQL runs there",
      }],
    },
  ]);
  strictEqual((await onIt.get("/livez")).status, 200);

  await postgres.server.start();
  await eventually("ready again", async () => (await onIt.get("/readyz")).status === 200);
});
