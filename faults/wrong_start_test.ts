import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import type { ProblemKind } from "../db/link_error.ts";
import { problem } from "../db/problems.ts";
import { startApi, type TestApi } from "../testing/api.ts";
import { eventually } from "../testing/eventually.ts";
import { PASSWORD, refusingPostgres } from "../testing/refusing_postgres.ts";
import { startWorker } from "../testing/worker.ts";

/* An API on a database that refuses: 503 with Retry-After, and the cause in readiness and log. */

const postgres = await refusingPostgres();
Deno.test.afterAll(async () => await postgres[Symbol.asyncDispose]());

/** The ways to be refused, and where readiness shows it. */
const REFUSED: readonly [what: string, address: string, kind: ProblemKind, check: string][] = [
  ["a wrong password", postgres.address("wrong"), "refused_login", "database"],
  ["a role that pg_hba.conf rejects", postgres.address("rejected"), "refused_login", "database"],
  ["a role that needs TLS", postgres.address("encrypted"), "encryption_required", "database"],
  ["a missing database", postgres.address("plain", "nowhere"), "no_database", "database"],
  ["a database that admits nobody", postgres.address("plain", "crowded"), "too_many", "database"],
  ["a right to connect that lacks", postgres.address("plain", "closed"), "no_right", "database"],
  ["rights that lack", postgres.address("plain", "rightless"), "no_right", "migrations"],
  [
    "an unknown setting in the address",
    `${postgres.address("postgres")}?options=-c%20plant_setting%3D1`,
    "unknown_parameter",
    "database",
  ],
  [
    "a database without a schema",
    postgres.address("postgres", "empty"),
    "schema_missing",
    "migrations",
  ],
];

for (const [what, databaseUrl, kind, check] of REFUSED) {
  Deno.test(`${what} is 503 with Retry-After, and ${kind} in readiness and log`, async () => {
    await using api = await startApi({ databaseUrl });
    await isRefused(api, kind, check);
  });
}

async function isRefused(api: TestApi, kind: ProblemKind, check: string): Promise<void> {
  const response = await api.get("/api/traceability/MIX-BATCH-88");
  deepStrictEqual([response.status, response.headers.get("retry-after"), response.json], [
    503,
    "1",
    { error: "The database is away or too slow, try again shortly" },
  ]);
  const ready = await api.get("/readyz");
  const { sentence, todo } = problem(kind);
  deepStrictEqual([ready.status, ready.headers.get("retry-after"), ready.json], [503, "1", {
    error: sentence,
    details: [{ path: check, message: todo }],
  }]);
  deepStrictEqual([(await api.get("/livez")).status, (await api.get("/api/health")).status], [
    200,
    200,
  ]);

  const event = {
    schema_missing: "schema_behind",
    no_right: check === "migrations" ? "schema_unreadable" : "database_down",
  }[String(kind)] ?? "database_down";
  const line = JSON.parse(await api.log.find((text) => text.includes(`"event":"${event}"`)));
  if (event === "database_down") strictEqual(line.problem, kind);
  else ok(line.todo, JSON.stringify(line));
  for (const route of ["/api/traceability/:lotCode", "/readyz"]) {
    const request = JSON.parse(await api.log.find((text) => text.includes(`"route":"${route}"`)));
    deepStrictEqual([request.level, request.status, request.problem], ["error", 503, kind], route);
  }
  for (const text of [response.text, ready.text, ...api.log.lines]) {
    ok(!text.includes("canary"), text);
  }
  for (const text of [response.text, ready.text]) {
    ok(!/127\.0\.0\.1|plain|wrong|rejected/.test(text), text);
  }
}

Deno.test("a process needs no restart once the database accepts it", async () => {
  const databaseUrl = postgres.address("wrong");
  await using api = await startApi({ databaseUrl });
  await using worker = await startWorker({ databaseUrl });
  for (const { log } of [api, worker]) {
    const down = await log.find((line) => line.includes('"event":"database_down"'));
    strictEqual(JSON.parse(down).problem, "refused_login");
  }
  const password = new URL(databaseUrl).password;
  await postgres.sql.unsafe(`alter role wrong password '${password}'`);
  try {
    for (const { log } of [api, worker]) {
      await log.find((line) => line.includes('"event":"database_up"'));
    }
    await eventually("ready", async () => (await api.get("/readyz")).status === 200);
    strictEqual((await api.get("/api/traceability/MIX-BATCH-88")).status, 404);
    strictEqual((await api.post("/api/lots", { lot_code: "WRONG-START-1" })).status, 201);
  } finally {
    await postgres.sql.unsafe(`alter role wrong password '${PASSWORD}'`);
  }
});
