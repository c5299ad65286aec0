import { deepStrictEqual, match } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { type RawResponse, rawResponse } from "../../testing/raw_upstream.ts";
import { exchange, startPair, type TestGatewayServerOptions } from "../testing/gateway_server.ts";

/* Each request of a client is reported once when it is over, with its operation and how it ended. */

const CLOSE = "Connection: close\r\n";
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: plant\r\n${CLOSE}\r\n`;
const lot = (length: number, body = "{}") =>
  `POST /api/lots HTTP/1.1\r\nHost: plant\r\n${CLOSE}Content-Length: ${length}\r\n\r\n${body}`;
const silent: RawResponse = () => {};

const ENDS: [
  what: string,
  request: string,
  ended: string,
  response?: string | RawResponse,
  options?: TestGatewayServerOptions,
][] = [
  ["a response", get("/api/traceability/A"), "getTraceability 200"],
  ["an error of the upstream's", lot(2), "createLot 503", rawResponse("503 Busy", "no")],
  ["a response to an unknown request", get("/old"), "unknown 404", rawResponse("404 No", "no")],
  ["no response in time", lot(2), "createLot 504", silent, {
    upstream: { responseTimeoutMs: 50 },
  }],
  ["no response", lot(2), "createLot 502", (socket) => socket.resetAndDestroy()],
  ["too long a body", lot(300, "x".repeat(300)), "createLot 413", silent, {
    limits: { bodyBytes: 200 },
  }],
  ["a body that takes too long", lot(3), "createLot 408", silent, {
    limits: { headerMs: 50, requestMs: 50 },
  }],
  ["a head that takes too long", "GET / HTTP/1.1\r\n", "unknown 408", silent, {
    limits: { headerMs: 50, requestMs: 50 },
  }],
  ["too many requests at a time", lot(2), "createLot 503", silent, { limits: { inFlight: 0 } }],
  ["too many connections", lot(2), "unknown 503", silent, { limits: { connections: 0 } }],
];
for (const [what, request, ended, response = rawResponse("200 OK", "ok"), options] of ENDS) {
  Deno.test(`a request with ${what} is reported as ${ended}`, async () => {
    await using pair = await startPair(response, options);
    match(await exchange(pair.server, request), RegExp(`^HTTP/1\\.1 ${ended.split(" ")[1]} `));
    await eventually("it is over", () => pair.server.ended.length > 0);
    deepStrictEqual(pair.server.ended, [ended]);
    deepStrictEqual(pair.server.server.load.requests, 0);
  });
}

Deno.test("a response that breaks off is reported as cut", async () => {
  await using pair = await startPair((socket) => {
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
  });
  await exchange(pair.server, lot(2));
  deepStrictEqual(pair.server.ended, ["createLot cut"]);
});

Deno.test("a client that leaves before its response is reported as left, when its request is over", async () => {
  for (const request of [lot(2), get("/api/health"), lot(3)]) {
    let respond = () => {};
    await using pair = await startPair((socket) => {
      respond = () => socket.write(rawResponse("201 Created", "ok"));
    });
    using client = openRawClient(pair.server.port, request);
    await eventually("it is in flight", () => pair.server.server.load.requests === 1);
    if (request !== lot(3)) {
      await eventually("the upstream has it", () => pair.upstream.requests.length === 1);
    }
    client.socket.resetAndDestroy();
    await eventually("it has left", () => pair.server.server.load.connections === 0);
    respond();
    await eventually("it is over", () => pair.server.ended.length > 0);
    const operation = request.startsWith("GET") ? "getHealth" : "createLot";
    deepStrictEqual(pair.server.ended, [`${operation} left`]);
  }
});

Deno.test("a client that closes its sending half is reported with its response's status", async () => {
  await using pair = await startPair((socket) => {
    setTimeout(() => socket.write(rawResponse("201 Created", "ok")), 50);
  });
  using client = openRawClient(pair.server.port, lot(2));
  client.socket.end();
  match(await client.ended, /^HTTP\/1\.1 201 /);
  await eventually("it is over", () => pair.server.ended.length > 0);
  deepStrictEqual(pair.server.ended, ["createLot 201"]);
});

Deno.test("the load counts requests, clients' connections, and an upstream's connections", async () => {
  const responds: (() => void)[] = [];
  await using pair = await startPair((socket) => {
    responds.push(() => socket.write(rawResponse("200 OK", "ok")));
  }, { upstream: { connections: 1 } });
  const loadIs = (
    requests: number,
    connections: number,
    [inUse, idle, waiting]: readonly [number, number, number],
  ) => {
    const { upstreams: { legacy }, ...load } = pair.server.server.load;
    return load.requests === requests && load.connections === connections &&
      legacy.inUse === inUse && legacy.idle === idle && legacy.waiting === waiting;
  };
  const keptAlive = get("/api/health").replace(CLOSE, "");
  using first = openRawClient(pair.server.port, keptAlive);
  await eventually("one is sent", () => responds.length === 1);
  using second = openRawClient(pair.server.port, keptAlive);
  await eventually("the other waits", () => loadIs(2, 2, [1, 0, 1]));
  responds[0]?.();
  await eventually("the other is sent", () => responds.length === 2);
  responds[1]?.();
  await eventually("both are over", () => loadIs(0, 2, [0, 1, 0]));
  first.socket.destroy();
  second.socket.destroy();
  await eventually("both have left", () => loadIs(0, 0, [0, 1, 0]));
});
