import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { Socket } from "node:net";
import { eventually } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";
import {
  startTestGatewayServer,
  type TestGatewayServerOptions,
} from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { type RawResponse, rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";

const LEGACY = rawResponse("200 OK", "legacy");
const CUT = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";

const REQUESTS = {
  read: "GET /api/traceability/A HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  head: "HEAD /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  login: "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
  write: "POST /api/lots HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
  "new operation": "GET /api/audits HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
};

const reset: RawResponse = (socket) => socket.resetAndDestroy();
const end: RawResponse = (socket) => socket.end();
const hang: RawResponse = () => {};
const nonsense: RawResponse = (socket) => socket.write("nonsense\r\n\r\n");
const fail = rawResponse("503 Service Unavailable", "down", "Retry-After: 1\r\n");

interface Outcome {
  readonly status: string;
  readonly body: string;
  readonly asked: [legacy: number, service: number];
  readonly answered: string[];
}

/** Sends a request through a gateway; an upstream without a handler is unavailable. */
async function send(
  request: string,
  upstreams: { legacy?: string | RawResponse; service?: string | RawResponse },
  options: TestGatewayServerOptions = { mode: { name: "service" } },
): Promise<Outcome> {
  const legacy = upstreams.legacy === undefined
    ? undefined
    : await startRawUpstream(upstreams.legacy);
  const service = upstreams.service === undefined
    ? undefined
    : await startRawUpstream(upstreams.service);
  const gateway = await startTestGatewayServer({
    ...options,
    upstream: { responseTimeoutMs: 150, recentMs: 5_000 },
    ...(legacy && { legacyUrl: legacy.url }),
    ...(service && { serviceUrl: service.url }),
  });
  using client = openRawClient(gateway.port, request);
  const received = await client.ended;
  await gateway[Symbol.asyncDispose]();
  await legacy?.[Symbol.asyncDispose]();
  await service?.[Symbol.asyncDispose]();
  const [head = "", body = ""] = received.split("\r\n\r\n", 2);
  return {
    status: head.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length),
    body,
    asked: [legacy?.requests.length ?? 0, service?.requests.length ?? 0],
    answered: gateway.answered,
  };
}

for (const kind of ["read", "login", "write"] as const) {
  Deno.test(`Lotline is unavailable: the old server responds to a ${kind}`, async () => {
    const { status, body, asked: requested, answered } = await send(REQUESTS[kind], {
      legacy: LEGACY,
    });
    deepStrictEqual([status, body, requested], ["200", "legacy", [1, 0]]);
    const [operation] = answered[0]?.split(" ") ?? [];
    deepStrictEqual(answered, [`${operation} service 0`, `${operation} legacy 200`]);
  });
}

const FAULTS: [what: string, service: string | RawResponse, status: number][] = [
  ["resets", reset, 0],
  ["ends without a response", end, 0],
  ["hangs", hang, 0],
  ["sends nonsense", nonsense, 0],
  ["responds 503", fail, 503],
];
for (const [what, service, status] of FAULTS) {
  for (const kind of ["read", "login"] as const) {
    Deno.test(`Lotline ${what}: the old server responds to a ${kind}`, async () => {
      const outcome = await send(REQUESTS[kind], { legacy: LEGACY, service });
      deepStrictEqual([outcome.status, outcome.body, outcome.asked], ["200", "legacy", [1, 1]]);
      const [operation] = outcome.answered[0]?.split(" ") ?? [];
      deepStrictEqual(outcome.answered, [
        `${operation} service ${status}`,
        `${operation} legacy 200`,
      ]);
    });
  }

  Deno.test(`Lotline ${what}: a write sent to it is sent to no other upstream`, async () => {
    const outcome = await send(REQUESTS.write, { legacy: LEGACY, service });
    strictEqual(outcome.status, what === "hangs" ? "504" : status === 503 ? "503" : "502");
    deepStrictEqual(outcome.asked, [0, 1]);
    deepStrictEqual(outcome.answered, [`createLot service ${status}`]);
  });

  Deno.test(`the old server ${what}: Lotline doesn't respond in its place`, async () => {
    for (const mode of [{ name: "legacy" }, { name: "shadow" }] as const) {
      const upstreams = { legacy: service, service: rawResponse("200 OK", "service") };
      const outcome = await send(REQUESTS.read, upstreams, { mode });
      strictEqual(outcome.status, what === "hangs" ? "504" : status === 503 ? "503" : "502");
      if (status === 0) match(outcome.body, /^\{"error":"[^"]+"\}$/);
      else strictEqual(outcome.body, "down", "its own response, unchanged");
      deepStrictEqual(outcome.asked, [1, 0]);
    }
  });
}

Deno.test("Lotline is unavailable for an operation that the old server doesn't have: 502", async () => {
  const { status, body, asked: requested } = await send(REQUESTS["new operation"], {
    legacy: LEGACY,
  });
  deepStrictEqual([status, requested], ["502", [0, 0]]);
  match(body, /^\{"error":"[^"]+"\}$/);
});

Deno.test("both are unavailable: 502 with a sentence", async () => {
  const { status, body } = await send(REQUESTS.read, {});
  deepStrictEqual([status, body], ["502", '{"error":"No answer from the server behind this one"}']);
});

Deno.test("Lotline's 5xx is passed on when the old server doesn't respond, for HEAD without a body", async () => {
  const read = await send(REQUESTS.read, { service: fail });
  deepStrictEqual([read.status, read.body], ["503", "down"]);
  const head = await send(REQUESTS.head, {
    service: "HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n",
  });
  deepStrictEqual([head.status, head.body], ["500", ""]);
});

Deno.test("Lotline's 5xx of any length is replaced", async () => {
  const long = rawResponse("500 Internal Server Error", "x".repeat(200_000));
  const { status, body } = await send(REQUESTS.read, { legacy: LEGACY, service: long });
  deepStrictEqual([status, body], ["200", "legacy"]);
});

Deno.test("a write too long to capture goes to the old server when Lotline is unavailable", async () => {
  const body = "x".repeat(300_000);
  const { status, asked: requested } = await send(
    `POST /api/lots HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n` +
      `Connection: close\r\n\r\n${body}`,
    { legacy: LEGACY },
    { mode: { name: "service" }, limits: { headTimeoutMs: 0 } },
  );
  deepStrictEqual([status, requested], ["200", [1, 0]]);
});

const HOW_CUT = ["reset", "ended"] as const;

for (const version of ["1.1", "1.0"]) {
  Deno.test(`a response that is cut off is cut off for a client of HTTP/${version}`, async () => {
    const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    for (
      const [response, how] of [CUT, chunked].flatMap((one) =>
        HOW_CUT.map((how) => [one, how] as const)
      )
    ) {
      await using legacy = await startRawUpstream((socket) => {
        socket.write(response);
        setTimeout(() => how === "reset" ? socket.resetAndDestroy() : socket.end(), 30);
      });
      await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
      using client = openRawClient(
        gateway.port,
        REQUESTS.read.replace("HTTP/1.1", `HTTP/${version}`),
      );
      const received = await client.ended;
      ok(received.includes("half"), received);
      strictEqual(received.endsWith("0\r\n\r\n"), false);
      strictEqual(client.wasReset(), true, "an end would mark a complete response");
      deepStrictEqual(gateway.answered, ["getTraceability legacy 0"]);
    }
  });
}

for (const how of HOW_CUT) {
  for (const upstream of ["legacy", "service"] as const) {
    Deno.test(`a response of the ${upstream} side that is ${how} before its body begins is 502: a client that gets nothing may send a write again`, async () => {
      for (const head of ["Content-Length: 100", "Transfer-Encoding: chunked"]) {
        const outcome = await send(REQUESTS.write, {
          legacy: LEGACY,
          [upstream]: (socket: Socket) => {
            socket.write(`HTTP/1.1 201 Created\r\n${head}\r\n\r\n`);
            setTimeout(() => how === "reset" ? socket.resetAndDestroy() : socket.end(), 30);
          },
        }, { mode: { name: upstream } });
        strictEqual(outcome.status, "502");
        match(outcome.body, /^\{"error":"[^"]+"\}$/);
        deepStrictEqual(outcome.asked, upstream === "legacy" ? [1, 0] : [0, 1]);
        deepStrictEqual(outcome.answered, [`createLot ${upstream} 0`]);
      }
    });
  }
}

Deno.test("a response with a header that can't be passed on is one 502, whether its body comes with it or not", async () => {
  const head = "HTTP/1.1 201 Created\r\nX: a\x01b\r\nContent-Length: 4\r\n\r\n";
  for (const pauseMs of [0, 30]) {
    const outcome = await send(REQUESTS.write, {
      service: (socket) => {
        if (pauseMs === 0) return void socket.write(`${head}body`);
        socket.write(`${head}bo`);
        setTimeout(() => socket.write("dy"), pauseMs);
      },
    });
    strictEqual(outcome.status, "502");
    match(outcome.body, /^\{"error":"[^"]+"\}$/);
    deepStrictEqual(outcome.answered, ["createLot service 0"]);
  }
  const failed = head.replace("201 Created", "500 No");
  const { status } = await send(REQUESTS.read, { service: `${failed}body` });
  strictEqual(status, "502");
});

Deno.test("a response of Lotline's that is cut off isn't started again with the old server's", async () => {
  await using legacy = await startRawUpstream(LEGACY);
  await using service = await startRawUpstream((socket) => {
    socket.write(CUT);
    setTimeout(() => socket.resetAndDestroy(), 30);
  });
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: service.url,
    mode: { name: "service" },
  });
  using client = openRawClient(gateway.port, REQUESTS.read);
  match(await client.ended, /half$/);
  deepStrictEqual(legacy.requests, []);
});

/** A server that responds to the first request and resets its connection at the next one. */
async function startForgetful() {
  const seen = new WeakSet<object>();
  return await startRawUpstream((socket) => {
    if (seen.has(socket)) socket.resetAndDestroy();
    else socket.write(LEGACY);
    seen.add(socket);
  });
}

const onKept = (request: string) => request.replace("Connection: close\r\n", "");

Deno.test("a read on a persistent connection that turns out to be closed is sent again, on a new one", async () => {
  await using legacy = await startForgetful();
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  using client = openRawClient(gateway.port, onKept(REQUESTS.read));
  await client.until((received) => received.endsWith("legacy"));
  client.write(REQUESTS.read);
  const received = await client.ended;
  strictEqual(received.match(/HTTP\/1\.1 200/g)?.length, 2);
  deepStrictEqual([legacy.requests.length, legacy.connections()], [3, 2]);
  deepStrictEqual(gateway.answered, ["getTraceability legacy 200", "getTraceability legacy 200"]);
});

Deno.test("the retry uses a new connection even if others are idle: they may be closed as well", async () => {
  const seen = new WeakSet<object>();
  await using legacy = await startRawUpstream((socket) => {
    if (seen.has(socket)) socket.resetAndDestroy();
    // Slowly, so that two concurrent requests use two connections.
    else setTimeout(() => socket.write(LEGACY), 30);
    seen.add(socket);
  });
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  using one = openRawClient(gateway.port, REQUESTS.read);
  using two = openRawClient(gateway.port, REQUESTS.read);
  await Promise.all([one.ended, two.ended]);
  strictEqual(legacy.connections(), 2);
  using client = openRawClient(gateway.port, REQUESTS.read);
  match(await client.ended, /^HTTP\/1\.1 200 /);
  strictEqual(legacy.requests.length, 4);
});

Deno.test("a read is sent again once, not repeatedly", async () => {
  await using legacy = await startRawUpstream((socket, _request, count) =>
    count === 1 ? socket.write(LEGACY) : socket.resetAndDestroy()
  );
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  using client = openRawClient(gateway.port, onKept(REQUESTS.read));
  await client.until((received) => received.endsWith("legacy"));
  client.write(REQUESTS.read);
  match(await client.ended, /HTTP\/1\.1 502 /);
  strictEqual(legacy.requests.length, 3);
});

Deno.test("a write on a persistent connection that turns out to be closed is not sent twice", async () => {
  await using legacy = await startForgetful();
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  using client = openRawClient(gateway.port, onKept(REQUESTS.read));
  await client.until((received) => received.endsWith("legacy"));
  client.write(REQUESTS.write);
  match(await client.ended, /HTTP\/1\.1 502 /);
  strictEqual(legacy.requests.length, 2);
});

Deno.test("a write doesn't use an idle persistent connection, a read does", async () => {
  await using legacy = await startRawUpstream(LEGACY);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    upstream: { recentMs: 50 },
  });
  const opened: number[] = [];
  for (const kind of ["write", "write", "read", "write"] as const) {
    using client = openRawClient(gateway.port, REQUESTS[kind]);
    await client.ended;
    opened.push(legacy.connections());
    if (opened.length > 1) await delay(100);
  }
  deepStrictEqual(opened, [1, 1, 1, 2]);
});

Deno.test("connections are reused, but not for longer than the server's keep-alive timeout", async () => {
  await using legacy = await startRawUpstream(
    rawResponse("200 OK", "legacy", "Keep-Alive: timeout=1\r\n"),
  );
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  const once = async () => {
    using client = openRawClient(gateway.port, REQUESTS.read);
    await client.ended;
  };
  await once();
  await once();
  // A server that announces 1 s may close at any moment, so its connection isn't reused.
  strictEqual(legacy.connections(), 2);

  await using patient = await startRawUpstream(LEGACY);
  await using other = await startTestGatewayServer({
    legacyUrl: patient.url,
    upstream: { idleMs: 200 },
  });
  for (let at = 0; at < 5; at++) {
    using client = openRawClient(other.port, REQUESTS.read);
    await client.ended;
  }
  strictEqual(patient.connections(), 1);
  await eventually("it is closed", () => patient.open() === 0);
});
