import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import net from "node:net";
import { eventually } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";
import { startTestGatewayServer } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { readLines } from "../../testing/lines.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";

const OK = rawResponse("200 OK", "ok");
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;

/** Hundreds of requests take long on a busy machine. */
const LOAD = { seconds: 120 };

Deno.test("an upstream that hangs causes 504 for its clients, holds only its own connections, and affects no other", async () => {
  await using legacy = await startRawUpstream((socket, request) => {
    if (request.startsWith("GET /ok")) socket.write(OK);
  });
  await using service = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: service.url,
    mode: { name: "service" },
    upstream: { connections: 10, waiting: 10, responseTimeoutMs: 1_000 },
  });
  const hanging = Array.from({ length: 30 }, () => openRawClient(gateway.port, get("/hang")));
  // Those that find neither a connection nor a place in the queue are refused immediately.
  const refused = () => hanging.filter((client) => client.received().includes(" 503 ")).length;
  await eventually("ten are refused", () => refused() >= 10);
  strictEqual(legacy.connections(), 10);
  strictEqual(hanging.some((client) => client.received().includes(" 504 ")), false);
  for (let at = 0; at < 20; at++) {
    using client = openRawClient(gateway.port, get("/api/health"));
    match(await client.ended, /^HTTP\/1\.1 200 /);
  }
  const received = await Promise.all(hanging.map((client) => client.ended));
  const statuses = received.map((text) => text.slice(9, 12)).sort();
  deepStrictEqual([statuses.filter((status) => status === "504").length >= 10, refused()], [
    true,
    statuses.filter((status) => status === "503").length,
  ]);
  ok(received.every((text) => /\{"error":"[^"]+"\}$/.test(text)));
  using client = openRawClient(gateway.port, get("/ok"));
  match(await client.ended, /^HTTP\/1\.1 200 /, "as soon as it no longer hangs");
});

Deno.test("an upstream that stops within its response is waited for no longer than for its start", async () => {
  await using legacy = await startRawUpstream((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  });
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    upstream: { responseTimeoutMs: 150 },
  });
  using client = openRawClient(gateway.port, get("/api/health"));
  match(await client.ended, /half$/);
  deepStrictEqual(gateway.answered, ["getHealth legacy 0"]);
});

Deno.test("an upstream that accepts no connection is waited for no longer than the connect timeout", async () => {
  // Its queue of connections is full, so that the next one is neither accepted nor refused.
  using full = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const waiting = Array.from({ length: 4 }, () => openRawClient(full.addr.port));
  await delay(50);
  await using legacy = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: `http://127.0.0.1:${full.addr.port}`,
    mode: { name: "service" },
    upstream: { connectMs: 150 },
  });
  using client = openRawClient(
    gateway.port,
    "POST /api/lots HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
  );
  match(await client.ended, /^HTTP\/1\.1 200 [^]*ok$/);
  deepStrictEqual(gateway.answered, ["createLot service 0", "createLot legacy 200"]);
  for (const one of waiting) one.socket.destroy();
});

Deno.test("a response before the end of the body is passed on, and the client may continue sending", async () => {
  await using legacy = await startRawUpstream(OK);
  const early = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.write(rawResponse("413 Too Large", "no")));
  });
  await new Promise<void>((resolve) => early.listen(0, "127.0.0.1", resolve));
  const address = early.address();
  ok(address !== null && typeof address === "object");
  await using gateway = await startTestGatewayServer({
    legacyUrl: `http://127.0.0.1:${address.port}`,
    serviceUrl: legacy.url,
    limits: { headTimeoutMs: 0 },
  });
  using client = openRawClient(
    gateway.port,
    `POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n${"x".repeat(200_000)}`,
  );
  await client.until((received) => received.endsWith("no"));
  client.write("x".repeat(200_000) + get("/x"));
  strictEqual((await client.ended).match(/HTTP\/1\.1 413 /g)?.length, 2);
  early.close();
});

Deno.test("when it stops, running requests finish, new connections are refused, persistent ones close with their response", async () => {
  await using legacy = await startRawUpstream((socket) => setTimeout(() => socket.write(OK), 150));
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  const kept = get("/").replace("Connection: close\r\n", "");
  using idle = openRawClient(gateway.port, kept);
  await idle.until((received) => received.endsWith("ok"));
  using silent = openRawClient(gateway.port, kept);
  await silent.until((received) => received.endsWith("ok"));
  using running = openRawClient(gateway.port, kept);
  await eventually("three requests have come", () => legacy.requests.length >= 3);
  const closing = gateway.server.close(5_000);
  idle.write(kept);
  match(await running.ended, /\r\nConnection: close\r\n[^]*ok$/);
  match(await idle.ended, /200 OK[^]*200 OK[^]*\r\nConnection: close\r\n\r\nok$/);
  strictEqual((await silent.ended).match(/200 OK/g)?.length, 1);
  strictEqual(await closing, true);
  using late = openRawClient(gateway.port, kept);
  strictEqual(await late.ended, "");
});

Deno.test("requests that still run after the grace period get 504: a client without a byte may send a write again", async () => {
  await using legacy = await startRawUpstream(() => {});
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  using client = openRawClient(gateway.port, get("/"));
  await eventually("the request has come", () => legacy.requests.length > 0);
  strictEqual(await gateway.server.close(100), false);
  match(
    await client.ended,
    /^HTTP\/1\.1 504 [^]*\r\nConnection: close\r\n[^]*\{"error":"No answer before this gateway stopped"\}$/,
  );
});

Deno.test("Lotline is killed under load: every read and login is answered, from then on by the old server", async () => {
  await using legacy = await startRawUpstream(OK);
  const service = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "Deno.serve({ hostname: '127.0.0.1', port: 0, onListen: ({ port }) => console.log(port) }," +
      "() => new Response('ok'))",
    ],
    stdout: "piped",
  }).spawn();
  const lines = readLines(service.stdout);
  const port = await lines.find((line) => /^\d+$/.test(line));
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: `http://127.0.0.1:${port}`,
    mode: { name: "service" },
  });
  let isOver = false;
  const failed: string[] = [];
  const load = async () => {
    for (let at = 0; !isOver; at++) {
      const response = at % 2 === 0
        ? await fetch(`${gateway.url}/api/traceability/A`)
        : await fetch(`${gateway.url}/api/login`, { method: "POST", body: "{}" });
      const text = await response.text();
      if (response.status !== 200 || text !== "ok") failed.push(`${response.status} ${text}`);
    }
  };
  const workers = Array.from({ length: 8 }, load);
  await eventually("200 are answered", () => gateway.answered.length >= 200, LOAD);
  service.kill("SIGKILL");
  await service.status;
  const before = gateway.answered.length;
  await eventually("400 more are answered", () => gateway.answered.length >= before + 400, LOAD);
  isOver = true;
  await Promise.all(workers);
  await lines.ended;
  deepStrictEqual(failed, []);
  ok(legacy.requests.length > 100, `the old server answered ${legacy.requests.length}`);
});
