import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";
import { startTestGatewayServer } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";

// Runs alone: its clients are slow on purpose, and cut off by deadlines.

const OK = rawResponse("200 OK", "ok");
const GET = "GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const HALF_POST = "POST /api/lots HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{";

const STALLS: [what: string, bytes: string, status: string][] = [
  ["says nothing", "", "408"],
  ["stops in its headers", "GET /api/health HTTP/1.1\r\nHost: x\r\nX-A", "408"],
  ["stops in its body", HALF_POST, "408"],
];
for (const [what, bytes, status] of STALLS) {
  Deno.test(`a client that ${what} gets an error and is cut off`, async () => {
    await using legacy = await startRawUpstream(OK);
    await using gateway = await startTestGatewayServer({
      legacyUrl: legacy.url,
      limits: { headerMs: 150, requestMs: 300 },
    });
    using client = openRawClient(gateway.port, bytes);
    const received = await client.ended;
    match(received, RegExp(`^HTTP/1\\.1 ${status} `));
    match(received, /\r\n\r\n\{"error":"The request took too long to arrive"\}$/);
    deepStrictEqual(legacy.requests, []);
    deepStrictEqual(gateway.answered, [], "no side is at fault");
  });
}

Deno.test("a client that drips its headers is cut off too", async () => {
  await using legacy = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { headerMs: 200 },
  });
  using client = openRawClient(gateway.port, "GET / HTTP/1.1\r\nHost: x\r\n");
  const dripping = setInterval(() => client.write("X-A: 1\r\n"), 20);
  match(await client.ended, /^HTTP\/1\.1 408 /);
  clearInterval(dripping);
});

Deno.test("a persistent connection without requests is closed, without a response", async () => {
  await using legacy = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { keepAliveMs: 1_000 },
  });
  using client = openRawClient(gateway.port, GET.replace("Connection: close\r\n", ""));
  match(await client.ended, /^HTTP\/1\.1 200 [^]*\r\nKeep-Alive: timeout=1\r\n\r\nok$/);
});

Deno.test("a connection that is used sometimes, or sends a request slowly, stays open", async () => {
  await using legacy = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { keepAliveMs: 300 },
  });
  const request = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";
  using client = openRawClient(gateway.port, request);
  const responses = (count: number) =>
    client.until((received) => received.split("\r\n\r\nok").length > count);
  await responses(1);
  for (const count of [2, 3, 4]) {
    await delay(150);
    client.write(request);
    await responses(count);
  }
  for (const letter of request.slice(0, 8)) {
    await delay(100);
    client.write(letter);
  }
  client.write(request.slice(8));
  await responses(5);
  strictEqual(gateway.lines.length, 5);
});

Deno.test("slow bodies use only their share of the connections to an upstream", async () => {
  await using legacy = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { headTimeoutMs: 20, uploads: 2 },
    upstream: { connections: 4 },
  });
  const slow = Array.from({ length: 50 }, () => openRawClient(gateway.port, HALF_POST));
  await eventually("two connections are open", () => legacy.open() >= 2);
  await delay(100);
  strictEqual(legacy.open(), 2);
  for (let at = 0; at < 20; at++) {
    using client = openRawClient(gateway.port, GET);
    match(await client.ended, /^HTTP\/1\.1 200 /);
  }
  for (const client of slow) client.write("         ");
  for (const client of slow) await client.until((received) => received.endsWith("ok"));
  for (const client of slow) client.socket.destroy();
});

Deno.test("a client that doesn't read is cut off, and the upstream isn't read from during that time", async () => {
  const size = 64 * 1024 * 1024;
  let written = 0;
  await using legacy = await startRawUpstream((socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const more = () => {
      while (written < size && socket.writable) {
        written += 65_536;
        if (!socket.write(new Uint8Array(65_536))) return;
      }
    };
    socket.on("drain", more);
    more();
  });
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { writeMs: 300 },
  });
  using client = openRawClient(gateway.port, GET);
  client.socket.pause();
  await eventually("the client is cut off", () => gateway.lines.length > 0);
  ok(written < size / 2, `${written} of ${size} bytes were read from the side`);
  deepStrictEqual(gateway.lines.map(({ cut }) => cut), [true]);
  await eventually("the connection is closed", () => legacy.open() === 0);
});

Deno.test("a client that reads slowly gets all of a long response", async () => {
  const body = "0123456789".repeat(2_000_000);
  await using legacy = await startRawUpstream(rawResponse("200 OK", body));
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { writeMs: 2_000 },
    upstream: { responseTimeoutMs: 100 },
  });
  using client = openRawClient(gateway.port, GET);
  client.socket.pause();
  await delay(400);
  client.socket.resume();
  const received = await client.ended;
  strictEqual(received.length - received.indexOf("\r\n\r\n") - 4, body.length);
  deepStrictEqual(gateway.answered, ["getHealth legacy 200"]);
});

Deno.test("connections beyond the maximum get 503", async () => {
  await using legacy = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { connections: 3 },
  });
  const idle = Array.from({ length: 3 }, () => openRawClient(gateway.port));
  let received = "";
  const nextSays = (status: string) =>
    eventually(`an answer is ${status}`, async () => {
      using client = openRawClient(gateway.port, GET);
      received = await client.ended;
      return received.includes(` ${status} `);
    });
  await nextSays("503");
  match(received, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
  match(received, /\r\nRetry-After: 1\r\n/);
  for (const client of idle) client.socket.destroy();
  await nextSays("200");
});

Deno.test("concurrent requests beyond the maximum get 503, also those sent ahead on one connection", async () => {
  await using legacy = await startRawUpstream(() => {});
  for (const limits of [{ inFlight: 2 }, { pipelined: 2 }]) {
    await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url, limits });
    const ahead = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    using first = openRawClient(gateway.port, ahead + ahead);
    const before = legacy.requests.length;
    await eventually("two requests have come", () => legacy.requests.length >= before + 2);
    if ("pipelined" in limits) first.write(ahead);
    else {
      using client = openRawClient(gateway.port, GET);
      const received = await client.ended;
      match(received, /^HTTP\/1\.1 503 [^]*\r\nRetry-After: 1\r\n[^]*\{"error":"[^"]+"\}$/);
    }
    await delay(50);
    strictEqual(legacy.requests.length, before + 2);
  }
});

Deno.test("slow bodies use their own slots, not those of running requests", async () => {
  await using legacy = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { inFlight: 1, headsInFlight: 3, uploads: 0 },
  });
  const slow = Array.from({ length: 3 }, () => openRawClient(gateway.port, HALF_POST));
  let received = "";
  const nextSays = (what: string) =>
    eventually(`an answer says ${what}`, async () => {
      using client = openRawClient(gateway.port, HALF_POST.replace(": 10", ": 1"));
      received = await client.until((text) => text.endsWith("ok") || text.endsWith("}"));
      return received.includes(what);
    });
  await nextSays(" 503 ");
  match(received, /\r\nRetry-After: 1\r\n/);
  using reader = openRawClient(gateway.port, GET);
  match(await reader.ended, /^HTTP\/1\.1 200 /);
  for (const client of slow) client.socket.destroy();
  await nextSays(" 200 ");
});

Deno.test("900 clients that stall don't delay others' responses", async () => {
  await using legacy = await startRawUpstream(OK);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    limits: { headTimeoutMs: 50 },
  });
  const stalls = [GET.slice(0, 30), HALF_POST];
  const slow = Array.from(
    { length: 900 },
    (_, at) => openRawClient(gateway.port, stalls[at % 2] ?? ""),
  );
  for (let at = 0; at < 50; at++) {
    using client = openRawClient(gateway.port, GET);
    match(await client.ended, /^HTTP\/1\.1 200 /);
  }
  for (const client of slow) client.socket.destroy();
});
