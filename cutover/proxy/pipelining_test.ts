import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { delay } from "../../timing.ts";
import { exchange, startPair } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { rawResponse } from "../../testing/raw_upstream.ts";
import { eventually } from "../../testing/eventually.ts";
import { bytesOf, statusesIn } from "../../testing/raw_http.ts";

/* Bytes after a refused request on its connection, and requests before it. */

const OK = rawResponse("200 OK", "ok");
const LOT = "POST /api/lots HTTP/1.1\r\nHost: plant\r\nContent-Type: application/json\r\n" +
  'Content-Length: 18\r\n\r\n{"lot_code":"RAW"}';
const WARM = "GET /warm HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n\r\n";
const post = (headers: string, body = "") =>
  `POST /first HTTP/1.1\r\nHost: plant\r\n${headers}\r\n${body}`;
const paths = (requests: readonly string[]) => requests.map((request) => request.split(" ")[1]);

const CHUNKED = "Transfer-Encoding: chunked\r\n";
const REFUSED: [what: string, request: string, status: string][] = [
  ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"],
  ["no host", "GET / HTTP/1.1\r\n\r\n", "400"],
  ["two lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"), "400"],
  ["a length and chunks", post(`Content-Length: 5\r\n${CHUNKED}`, "0\r\n\r\n"), "400"],
  ["chunks and a length", post(`${CHUNKED}Content-Length: 5\r\n`, "0\r\n\r\n"), "400"],
  ["another transfer coding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "400"],
  ["an empty transfer coding", post("Transfer-Encoding:\r\n"), "400"],
  ["a broken head", post("X: a\nY: b\r\n"), "400"],
  ["a broken chunk", post(CHUNKED, "1\r\nabc\r\n0\r\n\r\n"), "400"],
  ["a broken trailer", post(CHUNKED, "1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n"), "400"],
  ["too large a head", post(`X: ${"a".repeat(17_000)}\r\n`), "431"],
  ["too many chunk extensions", post(CHUNKED, `1;${"e".repeat(200_000)}\r\na\r\n0\r\n\r\n`), "413"],
  ["too many trailers", post(CHUNKED, `0\r\n${"T: 1\r\n".repeat(40_000)}\r\n`), "413|431"],
  ["too large a body", post("Content-Length: 300\r\n", "a".repeat(300)), "413"],
  ["too large a body in chunks", post(CHUNKED, `12c\r\n${"a".repeat(300)}\r\n0\r\n\r\n`), "413"],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "405"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"],
];
for (const [what, request, status] of REFUSED) {
  Deno.test(`after a request with ${what}, nothing is executed, and no response is sent`, async () => {
    for (const cut of [0, request.length]) {
      await using pair = await startPair(OK, { limits: { bodyBytes: 200 } });
      // A connection to the upstream is open: a request that passes is sent immediately.
      await exchange(pair.server, WARM);
      using client = openRawClient(pair.server.port, request.slice(0, cut));
      client.write(request.slice(cut) + LOT + LOT);
      match(statusesIn(await client.ended)?.join() ?? "", RegExp(`^(?:${status})$`));
      deepStrictEqual(paths(pair.upstream.requests), ["/warm"]);
    }
  });

  Deno.test(`a request with ${what} is refused in its turn, and the one before it gets its response`, async () => {
    await using pair = await startPair((socket) => setTimeout(() => socket.write(OK), 20), {
      limits: { bodyBytes: 200 },
    });
    const received = await exchange(pair.server, LOT + request + LOT);
    match(statusesIn(received)?.join() ?? "", RegExp(`^200,(?:${status})$`));
    match(received, /^HTTP\/1\.1 200 OK\r\n[^{]*\r\n\r\nokHTTP\/1\.1 4/);
    match(received, /\r\nConnection: close\r\n(?:[^{]*\r\n)?\r\n\{"error":"[^"]+"\}$/i);
    deepStrictEqual(paths(pair.upstream.requests), ["/api/lots"]);
  });
}

Deno.test("a request that is refused after a long response is refused after all of it", async () => {
  const body = "x".repeat(3_000_000);
  await using pair = await startPair(rawResponse("200 OK", body));
  using client = openRawClient(
    pair.server.port,
    `${LOT}CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n`,
  );
  client.socket.pause();
  await eventually("the request has arrived", () => pair.upstream.requests.length === 1);
  client.socket.resume();
  const received = await client.ended;
  deepStrictEqual(statusesIn(received), ["200", "405"]);
  strictEqual(received.includes(`${body}HTTP/1.1 405`), true);
});

Deno.test("bytes after a request that closes its connection are not read", async () => {
  await using pair = await startPair((socket) => setTimeout(() => socket.write(OK), 20));
  const close = LOT.replace("Host: plant\r\n", "Host: plant\r\nConnection: close\r\n");
  deepStrictEqual(statusesIn(await exchange(pair.server, close + LOT)), ["200"]);
  deepStrictEqual(paths(pair.upstream.requests), ["/api/lots"]);
});

for (const upgrade of ["websocket", "h2c"]) {
  Deno.test(`a request for ${upgrade} gets its own response, and nothing after it is executed`, async () => {
    await using pair = await startPair((socket) => setTimeout(() => socket.write(OK), 20));
    const headers = `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\nContent-Length: 1\r\n`;
    const received = await exchange(pair.server, LOT + post(headers, "a") + LOT);
    deepStrictEqual(statusesIn(received), ["200", "200"]);
    deepStrictEqual(paths(pair.upstream.requests), ["/api/lots", "/first"]);
  });
}

Deno.test("after a request that is refused for lack of a slot, nothing is executed", async () => {
  await using pair = await startPair(() => {}, { limits: { pipelined: 1 } });
  using client = openRawClient(pair.server.port, LOT + LOT + LOT);
  await eventually("the first has come", () => pair.upstream.requests.length === 1);
  client.socket.end();
  strictEqual(pair.upstream.requests.length, 1);
});

Deno.test("a client that still sends a body over the limit receives its 413", async () => {
  await using pair = await startPair(OK, { limits: { bodyBytes: 200 } });
  const long = "x".repeat(5_000_000);
  const received = await exchange(pair.server, post(`Content-Length: ${long.length}\r\n`, long));
  deepStrictEqual(statusesIn(received), ["413"]);
});

const NO_REQUESTS: [what: string, bytes: string][] = [
  ["no request", "garbage\r\n\r\n"],
  ["a broken chunk", post("Transfer-Encoding: chunked\r\n", "zz\r\n")],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"],
];

for (const [what, bytes] of NO_REQUESTS) {
  Deno.test(`bytes after ${what} become part of no other client's request`, async () => {
    await using pair = await startPair(OK);
    const { port } = pair.server;
    // It continues writing after it has read the refusal.
    using refused = await Deno.connect({ hostname: "127.0.0.1", port });
    await refused.write(bytesOf(bytes));
    await refused.read(new Uint8Array(1_000));
    // One of the next requests reuses the server's read buffer.
    using others = new DisposableStack();
    const next = Array.from({ length: 50 }, () => {
      return others.use(openRawClient(port, "GET /other HTTP/1.1\r\nHost: plant\r\n"));
    });
    await eventually("they wait", () => next.every(({ socket }) => socket.bytesWritten > 0));
    await delay(50);
    await refused.write(bytesOf("GET /evil HTTP/1.1\r\nHost: plant\r\n\r\n"));
    await refused.closeWrite();
    await delay(50);
    for (const other of next) other.write("Connection: close\r\n\r\n");
    for (const other of next) deepStrictEqual(statusesIn(await other.ended), ["200"]);
    deepStrictEqual([...new Set(paths(pair.upstream.requests))], ["/other"]);
  });
}
