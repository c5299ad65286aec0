import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createServer } from "node:http";
import net from "node:net";
import type { ProblemKind } from "../db/link_error.ts";
import { problem } from "../db/problems.ts";
import { startApi } from "../testing/api.ts";
import { eventually } from "../testing/eventually.ts";
import { postgresUrl } from "../testing/postgres_servers.ts";
import { taskOutput } from "../testing/task_output.ts";
import { listen } from "../testing/test_server.ts";

/* An address that leads to something else than a PostgreSQL as it names it. */

const ENDLESS = new Uint8Array(65_536).fill("A".charCodeAt(0));

/** Programs that don't speak PostgreSQL's protocol. */
const OTHERS: readonly [what: string, server: () => net.Server][] = [
  ["an HTTP server", () => createServer((_request, response) => response.end("plant"))],
  ["a server that closes", () => server((client) => client.end())],
  ["a server that stays silent", () => server(() => {})],
  ["a server without words", () => server((client) => answer(client, "N"))],
  ["a server that sends text", () => server((client) => answer(client, "220 plant ready\r\n"))],
  ["a server that sends no end", () =>
    server((client) => {
      const more = () => void (client.writable && client.write(ENDLESS));
      client.on("drain", more);
      more();
    })],
];

/** Those whose first byte shows it. */
const TALKING = ["a server that sends text", "a server that sends no end"];
const KINDS: readonly ProblemKind[] = ["unreachable", "silent", "not_postgres", "tls_failed"];
const TLS_KINDS: readonly ProblemKind[] = [...KINDS, "tls_unsupported"];

for (const [what, start] of OTHERS) {
  for (const [query, kinds] of [["", KINDS], ["?sslmode=require", TLS_KINDS]] as const) {
    Deno.test(`${what} is 503 and one sentence ${query}`, async () => {
      const other = start();
      const port = await listen(other);
      try {
        const url = `postgres://plant:canary@127.0.0.1:${port}/plant${query}`;
        const logged = await isRefused(url, kinds);
        if (TALKING.includes(what)) strictEqual(logged, "not_postgres");
      } finally {
        other.close();
      }
    });
  }
}

Deno.test("a PostgreSQL without TLS is 503 and one sentence when the address requires it", async () => {
  const url = `${await postgresUrl(17)}?sslmode=require`;
  const refused = () => isRefused(url, ["tls_unsupported", "tls_failed", "silent"]);
  // A busy machine may be too slow for its answer, and then it counts as silent.
  await eventually("its answer is understood", async () => await refused() !== "silent");
});

/** Resolves with the problem in the log. */
async function isRefused(databaseUrl: string, kinds: readonly ProblemKind[]): Promise<string> {
  const migrated = taskOutput(["migrate"], { DATABASE_URL: databaseUrl });
  await using api = await startApi({ databaseUrl });
  const [response, ready] = await Promise.all([
    api.get("/api/traceability/MIX-BATCH-88"),
    api.get("/readyz"),
  ]);
  for (const { status, headers } of [response, ready]) {
    deepStrictEqual([status, headers.get("retry-after")], [503, "1"]);
  }
  const texts = kinds.map((kind) => problem(kind).sentence);
  ok(texts.includes(ready.json.error), ready.text);
  const line = JSON.parse(await api.log.find((text) => text.includes('"event":"database_down"')));
  ok(kinds.includes(line.problem), JSON.stringify(line));

  const { code, output, error } = await migrated;
  deepStrictEqual([code, output], [1, ""]);
  ok(texts.some((text) => error.startsWith(`${text}: `)), error);
  strictEqual(error.includes("\n"), false, error);
  for (const text of [response.text, ready.text, error, ...api.log.lines]) {
    ok(!text.includes("canary"), text);
  }
  return line.problem;
}

function server(onClient: (client: net.Socket) => void): net.Server {
  return net.createServer((client) => {
    client.on("error", () => {});
    onClient(client);
  });
}

function answer(client: net.Socket, text: string): void {
  client.on("data", () => client.writable && client.write(text));
}
