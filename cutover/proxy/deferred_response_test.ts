import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { statusesIn } from "../../testing/raw_http.ts";
import { type RawResponse, rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";
import { exchange, startPair, startTestGatewayServer } from "../testing/gateway_server.ts";

/*
 * Clients such as browsers send a request again by themselves when a connection that they had used
 * before ends without a byte of a response. So a request gets an error response as long as nothing was
 * sent to its client.
 */

const HEAD = "HTTP/1.1 201 Created\r\nX-Own: 1\r\n";
const OK = rawResponse("200 OK", "ok");
const post = (path: string, headers = "") =>
  `POST ${path} HTTP/1.1\r\nHost: plant\r\nContent-Length: 2\r\n${headers}\r\n{}`;
const LOT = post("/api/lots", "Connection: close\r\n");
const TRACE = "GET /api/traceability/A HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n\r\n";

const BROKEN: [what: string, response: RawResponse][] = [
  ["before its body, by a reset", (socket) => {
    socket.write(`${HEAD}Content-Length: 100\r\n\r\n`);
    setTimeout(() => socket.resetAndDestroy(), 20);
  }],
  ["before its body, by an end", (socket) => {
    socket.end(`${HEAD}Content-Length: 100\r\n\r\n`);
  }],
  ["before its first chunk, by a reset", (socket) => {
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
    setTimeout(() => socket.resetAndDestroy(), 20);
  }],
  ["in its first chunk's size", (socket) => {
    socket.end(`${HEAD}Transfer-Encoding: chunked\r\n\r\n5`);
  }],
  ["with a chunk that is none", (socket) => {
    socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`);
  }],
];
for (const [what, response] of BROKEN) {
  Deno.test(`a write whose response breaks off ${what} gets 502, and is executed once`, async () => {
    await using pair = await startPair(response);
    const received = await exchange(pair.server, LOT);
    match(received, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    match(received, /\{"error":"The answer of the server behind this one is broken"\}$/);
    strictEqual(received.includes("X-Own"), false);
    strictEqual(pair.upstream.requests.length, 1);
    deepStrictEqual(pair.server.answered, ["createLot legacy 0"]);
    strictEqual(pair.server.lines.at(-1)?.cut, undefined);
  });
}

Deno.test("a client that sends again what got no response sends a write once", async () => {
  await using pair = await startPair((socket, request) => {
    if (request.startsWith("GET")) return void socket.write(OK);
    socket.write(`${HEAD}Content-Length: 100\r\n\r\n`);
    setTimeout(() => socket.resetAndDestroy(), 20);
  });
  // Only a connection that was used before makes it send again.
  await (await fetch(`${pair.server.url}/warm`)).text();
  const response = await fetch(`${pair.server.url}/api/lots`, { method: "POST", body: "{}" });
  strictEqual(response.status, 502);
  await response.text();
  const methods = pair.upstream.requests.map((request) => request.split(" ")[0]);
  deepStrictEqual(methods, ["GET", "POST"]);
});

Deno.test("an upstream that sends a head and nothing more is too late: 504", async () => {
  await using pair = await startPair(`${HEAD}Content-Length: 100\r\n\r\n`, {
    upstream: { responseTimeoutMs: 100 },
  });
  match(await exchange(pair.server, LOT), /^HTTP\/1\.1 504 [^{]*\{"error":"No answer in time"\}$/);
});

Deno.test("a response whose body begins late is passed on unchanged", async () => {
  await using pair = await startPair((socket) => {
    socket.write(`${HEAD}Content-Length: 4\r\n\r\n`);
    setTimeout(() => socket.write("la"), 40);
    setTimeout(() => socket.write("te"), 80);
  });
  const received = await exchange(pair.server, LOT);
  strictEqual(
    received.replace(/^X-Request-Id: .*\r\n/m, ""),
    `${HEAD}Content-Length: 4\r\nConnection: close\r\n\r\nlate`,
  );
});

Deno.test("a read whose response of Lotline's breaks off before its body gets the old server's", async () => {
  await using legacy = await startRawUpstream(OK);
  await using service = await startRawUpstream((socket) => {
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
  });
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: service.url,
    mode: { name: "service" },
  });
  match(await exchange(gateway, TRACE), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/);
  match(await exchange(gateway, LOT), /^HTTP\/1\.1 502 /);
  deepStrictEqual([legacy.requests.length, service.requests.length], [1, 2]);
});

Deno.test("a broken response behind another one is a 502 in its turn", async () => {
  for (const sent of ["", "half"]) {
    let respond = () => {};
    await using pair = await startPair((socket, request) => {
      if (request.includes("/first")) return void (respond = () => socket.write(OK));
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n${sent}`);
    });
    using client = openRawClient(pair.server.port, post("/first") + LOT);
    await eventually("both are there", () => pair.upstream.requests.length === 2);
    await eventually("the second one has failed", () => pair.upstream.open() === 1);
    respond();
    deepStrictEqual(statusesIn(await client.ended), ["200", "502"]);
  }
});

Deno.test("a long response behind another one is complete, however long that one takes", async () => {
  const body = "x".repeat(300_000);
  let respond = () => {};
  await using pair = await startPair((socket, request) => {
    if (request.includes("/first")) return void (respond = () => socket.write(OK));
    socket.write(rawResponse("200 OK", body));
  }, { limits: { writeMs: 40 } });
  using client = openRawClient(pair.server.port, post("/first") + LOT);
  await eventually("both are there", () => pair.upstream.requests.length === 2);
  // Longer than a client may read nothing.
  await new Promise((resolve) => setTimeout(resolve, 300));
  respond();
  const received = await client.ended;
  deepStrictEqual(statusesIn(received), ["200", "200"]);
  ok(received.endsWith(`\r\n\r\n${body}`));
});

Deno.test("a gateway that stops before a response is there sends one itself", async () => {
  const silent: RawResponse = () => {};
  await using pair = await startPair(silent);
  const keepAlive = TRACE.replace("Connection: close\r\n", "");
  using write = openRawClient(pair.server.port, post("/api/lots"));
  using read = openRawClient(pair.server.port, keepAlive);
  using incomplete = openRawClient(pair.server.port, post("/api/lots").slice(0, -1));
  await eventually("both are there", () => pair.upstream.requests.length === 2);
  await eventually("the incomplete one is there", () => incomplete.socket.bytesWritten > 0);
  strictEqual(await pair.server.server.close(300), false);
  const texts = await Promise.all([write.ended, read.ended, incomplete.ended]);
  deepStrictEqual(texts.map((text) => statusesIn(text)?.[0]), ["504", "504", "503"]);
  for (const text of texts) match(text, /\r\nConnection: close\r\n/i);
});

Deno.test("a stopping gateway breaks off a response that has begun", async () => {
  await using pair = await startPair("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
  using client = openRawClient(pair.server.port, post("/api/lots"));
  await client.until((text) => text.endsWith("half"));
  strictEqual(await pair.server.server.close(0), false);
  match(await client.ended, /\r\n\r\nhalf$/);
  strictEqual(client.wasReset(), true);
});
