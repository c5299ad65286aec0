import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import net from "node:net";
import { createApi } from "../app.ts";
import { ApiSettings, readSettings } from "../config.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { openRawClient } from "../testing/raw_client.ts";
import { keysInMemory } from "../testing/keys.ts";

// Runs alone: its deadline for a body is 0.3 s.

const LIMITS = { bytes: 102_400, deadlineMs: 300, inFlight: 3 };

/** The API in this process, with limits small enough to wait for. */
async function serveApi() {
  const database = await freshDatabase();
  const { privateKey } = generateKeyPairSync("ed25519");
  const api = createApi({
    config: readSettings(ApiSettings, {
      AUTH_MODE: "legacy",
      DATABASE_URL: database.url,
      JWT_KEYS_FILE: "none",
    }),
    sql: database.sql,
    keys: keysInMemory({ kid: "test", privateKey, published: { keys: [] } }),
    limits: LIMITS,
    log: () => {},
    stopping: new AbortController().signal,
  });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => api.serve(request, "127.0.0.1"),
  );
  return {
    port: server.addr.port,
    sql: database.sql,
    [Symbol.asyncDispose]: async () => {
      await server.shutdown();
      api[Symbol.dispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/**
 * Sends bytes, leaves the connection open and returns what arrives until the response is complete.
 */
function sendPart(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes));
    let response = "";
    socket.on("data", (chunk) => {
      response += chunk.toString();
      if (response.includes("}")) {
        socket.destroy();
        resolve(response);
      }
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(response));
  });
}

const head = (length: number) =>
  "POST /api/lots HTTP/1.1\r\nHost: plant\r\nContent-Type: application/json\r\n" +
  `Content-Length: ${length}\r\n\r\n`;

Deno.test("a body that stops arriving is 408, and nothing is stored", async () => {
  await using api = await serveApi();
  const response = await sendPart(api.port, head(100) + '{"lot_code":"HALF"');
  ok(response.startsWith("HTTP/1.1 408"), response);
  ok(response.endsWith('{"error":"The body took too long to arrive"}'), response);
  deepStrictEqual([...await api.sql`select 1 from lots`], []);
});

Deno.test("a client that drips its body gets 408, and its connection ends before the end of the body", async () => {
  await using api = await serveApi();
  using client = openRawClient(api.port, head(100_000) + "{");
  const dripping = setInterval(() => client.write(" "), 20);
  try {
    const received = await client.until((text) => text.includes("}"));
    match(received, /^HTTP\/1\.1 408 [^]*\r\nconnection: close\r\n/i);
    // Reset at the latest when it continues sending.
    deepStrictEqual(await client.ended, received);
    ok(client.socket.bytesWritten < 2_000, "it isn't kept open to read the body to its end");
  } finally {
    clearInterval(dripping);
  }
});

Deno.test("a body that ends before its length is dropped, and nothing is stored", async () => {
  await using api = await serveApi();
  await new Promise<void>((resolve) => {
    const socket = net.connect(api.port, "127.0.0.1", () => {
      socket.end(head(100) + '{"lot_code":"CUT"}');
    });
    socket.resume();
    socket.on("close", () => resolve());
    socket.on("error", () => resolve());
  });
  deepStrictEqual([...await api.sql`select 1 from lots`], []);
  strictEqual((await fetch(`http://127.0.0.1:${api.port}/livez`).then((r) => r.text())).length, 17);
});

Deno.test("requests beyond the limit are immediately 503 with Retry-After", async () => {
  await using api = await serveApi();
  const slow = Array.from({ length: LIMITS.inFlight }, () => sendPart(api.port, head(100) + "{"));
  let refused = new Response();
  await eventually("a request is refused", async () => {
    refused = await fetch(`http://127.0.0.1:${api.port}/openapi.yaml`);
    if (refused.status === 200) await refused.body?.cancel();
    return refused.status !== 200;
  });
  const health = await fetch(`http://127.0.0.1:${api.port}/api/health`);
  strictEqual(health.status, 200);
  await health.body?.cancel();
  strictEqual(refused.status, 503);
  strictEqual(refused.headers.get("retry-after"), "1");
  deepStrictEqual(await refused.json(), { error: "Too busy, try again soon" });
  await Promise.all(slow);
  const after = await fetch(`http://127.0.0.1:${api.port}/api/health`);
  strictEqual(after.status, 200);
  await after.body?.cancel();
});
