import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { createServer } from "node:http";
import { migrate } from "../../db/migrate.ts";
import { freshDatabase } from "../../testing/database.ts";
import { refusingPostgres } from "../../testing/refusing_postgres.ts";
import { taskOutput } from "../../testing/task_output.ts";
import { startTestServer } from "../../testing/test_server.ts";
import { startGateway } from "../testing/gateway.ts";

/** A gateway in front of an old server that answers everything with 200. */
async function gatewayOn(databaseUrl: string) {
  const legacy = await startTestServer(createServer((_request, response) => response.end("old")));
  const { url } = legacy;
  const gateway = await startGateway({
    databaseUrl,
    legacyUrl: url,
    serviceUrl: "http://127.0.0.1:1",
  });
  return {
    ...gateway,
    lineOf: async (event: string) =>
      JSON.parse(await gateway.log.find((line) => line.includes(`"event":"${event}"`))),
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      await legacy[Symbol.asyncDispose]();
    },
  };
}

Deno.test("a gateway whose login the database refuses forwards to the old server, and logs the cause", async () => {
  await using postgres = await refusingPostgres();
  const DATABASE_URL = postgres.address("wrong");
  await using gateway = await gatewayOn(DATABASE_URL);
  const response = await fetch(`${gateway.url}/api/health`);
  deepStrictEqual([response.status, await response.text()], [200, "old"]);
  const { level, problem } = await gateway.lineOf("database_down");
  deepStrictEqual([level, problem], ["warn", "refused_login"]);

  for (
    const [words, expected] of [[["cutover", "status"], 1], [["parity", "report"], 2]] as const
  ) {
    const { code, error } = await taskOutput(words, { DATABASE_URL });
    deepStrictEqual([code, error.split(":", 1)[0]], [expected, "The database refuses the login"]);
    strictEqual(error.includes("\n"), false, error);
  }
});

Deno.test("a gateway on a database without the cutover's tables warns, until they are there", async () => {
  await using database = await freshDatabase({ migrated: false });
  await using gateway = await gatewayOn(database.url);
  const { level, todo } = await gateway.lineOf("schema_behind");
  deepStrictEqual([level, todo], ["warn", "deno task migrate"]);
  await migrate(database.url, () => {});
  await gateway.lineOf("schema_current");
});
