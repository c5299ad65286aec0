import { Buffer } from "node:buffer";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";
import {
  startTestGatewayServer,
  type TestGatewayServerOptions,
} from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";
import type { CapturedRequest } from "../exchange/exchange.ts";
import type { Mode } from "../exchange/route.ts";

const READ = "GET /api/traceability/A?b=%zz HTTP/1.1\r\nHost: x\r\nX-Odd: 1\r\n" +
  "X-Request-Id: id-1\r\nConnection: close\r\n\r\n";
const WRITE = "POST /api/lots HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" +
  "Connection: close\r\n\r\n{}";
const LOGIN = WRITE.replace("/api/lots", "/api/login");
const LEGACY = rawResponse("201 Created", "legacy", "X-A: 1\r\nx-a: 2\r\n");
const SERVICE = rawResponse("200 OK", "service");

/** Sends one request to a gateway before both upstreams, and returns the observed exchange. */
async function forward(
  request: string,
  options: TestGatewayServerOptions,
  legacyResponse = LEGACY,
) {
  await using legacy = await startRawUpstream(legacyResponse);
  await using service = await startRawUpstream(SERVICE);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: service.url,
    ...options,
  });
  using client = openRawClient(gateway.port, request);
  const received = await client.ended;
  const { observed, found, answered } = gateway;
  return {
    received,
    observed,
    found,
    answered,
    legacy: legacy.requests,
    service: service.requests,
  };
}

Deno.test("a compared read is observed with request and response, as they were sent and received", async () => {
  const before = Date.now();
  const { observed } = await forward(READ, { mode: { name: "shadow" }, compares: true });
  strictEqual(observed.length, 1);
  const [observation] = observed;
  ok(observation !== undefined);
  const { operation, upstream, request, response, at } = observation;
  deepStrictEqual([operation, upstream], ["getTraceability", "legacy"]);
  deepStrictEqual(request, {
    method: "GET",
    target: "/api/traceability/A?b=%zz",
    headers: [
      ["Host", "x"],
      ["X-Odd", "1"],
      ["X-Forwarded-For", "127.0.0.1"],
      ["X-Forwarded-Proto", "http"],
      ["X-Forwarded-Host", "x"],
      ["X-Request-Id", "id-1"],
    ],
    body: new Uint8Array(),
  });
  deepStrictEqual([response.status, Buffer.from(response.body).toString()], [201, "legacy"]);
  deepStrictEqual(response.headers, [["X-A", "1"], ["x-a", "2"], ["Content-Length", "6"]]);
  ok(response.ms >= 0 && at >= before && at <= Date.now());
});

const MODES: [mode: Mode, side: string, read: string | undefined, write: string | undefined][] = [
  // A recording also needs exchanges on routes without comparison.
  [{ name: "legacy" }, "legacy", "legacy", "legacy"],
  [{ name: "shadow" }, "legacy", "legacy", "legacy"],
  [{ name: "service" }, "service", "service", undefined],
];
for (const [mode, upstream, read, write] of MODES) {
  Deno.test(`in ${mode.name} the ${upstream} upstream responds, and the wanted part is observed`, async () => {
    for (const [request, compared] of [[READ, read], [LOGIN, read], [WRITE, write]] as const) {
      const { received, observed } = await forward(request, { mode, compares: true });
      ok(received.endsWith(upstream), received);
      deepStrictEqual(
        observed.map(({ upstream }) => upstream),
        compared === undefined ? [] : [compared],
      );
    }
    const { observed } = await forward(READ, { mode, compares: false });
    deepStrictEqual(observed, [], "what isn't in the sample");
  });
}

Deno.test("a canary always sends a client to the same upstream, by user or address, and about its share", async () => {
  await using legacy = await startRawUpstream(LEGACY);
  await using service = await startRawUpstream(SERVICE);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: service.url,
    mode: { name: "canary", percent: 50 },
    trustedProxies: ["127.0.0.1"],
  });
  const upstreamOf = async (address: string, token = "") => {
    using client = openRawClient(
      gateway.port,
      READ.replace("X-Odd: 1", `X-Forwarded-For: 10.9.9.9, ${address}${token}`),
    );
    return (await client.ended).endsWith("service") ? "service" : "legacy";
  };
  const upstreams: string[] = [];
  for (let at = 0; at < 40; at++) upstreams.push(await upstreamOf(`192.0.2.${at}`));
  const share = upstreams.filter((upstream) => upstream === "service").length;
  ok(share > 8 && share < 32, `${share} of 40`);
  for (let at = 0; at < 5; at++) strictEqual(await upstreamOf(`192.0.2.${at}`), upstreams[at]);
  const token = `\r\nAuthorization: Bearer e30.${btoa('{"sub":"u-1"}').replace(/=+$/, "")}.x`;
  const ofUser = await upstreamOf("192.0.2.1", token);
  for (let at = 0; at < 10; at++) strictEqual(await upstreamOf(`192.0.2.${at}`, token), ofUser);
});

Deno.test("clients behind one address are distinguished by the header that the operator named", async () => {
  await using legacy = await startRawUpstream(LEGACY);
  await using service = await startRawUpstream(SERVICE);
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: service.url,
    mode: { name: "canary", percent: 50 },
    canaryBy: { header: "x-terminal" },
  });
  const upstreamOf = async (terminal: string, request = READ) => {
    using client = openRawClient(
      gateway.port,
      request.replace("Host: x", `Host: x\r\nX-TERMINAL: ${terminal}`),
    );
    return (await client.ended).endsWith("service") ? "service" : "legacy";
  };
  const upstreams: string[] = [];
  for (let at = 0; at < 40; at++) upstreams.push(await upstreamOf(`scale-${at}`));
  const share = upstreams.filter((upstream) => upstream === "service").length;
  ok(share > 8 && share < 32, `${share} of 40`);
  for (let at = 0; at < 5; at++) {
    strictEqual(
      await upstreamOf(`scale-${at}`, WRITE),
      upstreams[at],
      "a client writes where it reads",
    );
    strictEqual(
      await upstreamOf(`scale-${at}`, LOGIN),
      upstreams[at],
      "a client logs in where it reads",
    );
  }
  strictEqual(new Set(gateway.served.map(({ bucket }) => bucket)).size, 40);
});

Deno.test("a client counts for the upstream that responded, a probe for none, and only where clients are counted", async () => {
  await using legacy = await startRawUpstream(LEGACY);
  const modes: [Mode, string[]][] = [
    [{ name: "legacy" }, []],
    [{ name: "shadow" }, ["legacy"]],
    // Lotline is unavailable, so the client was not moved.
    [{ name: "canary", percent: 99 }, ["legacy"]],
    [{ name: "service" }, []],
  ];
  for (const [mode, upstreams] of modes) {
    await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url, mode });
    for (const probe of ["", "X-Lotline-Probe: 1\r\n"]) {
      using client = openRawClient(gateway.port, READ.replace("X-Odd: 1\r\n", probe));
      await client.ended;
    }
    await eventually("both are over", () => Promise.resolve(gateway.lines.length === 2));
    deepStrictEqual(gateway.served.map(({ side: upstream }) => upstream), upstreams, mode.name);
  }
  ok(legacy.requests.every((request) => !/lotline-probe/i.test(request)));
});

Deno.test("a write runs dry on Lotline before the old server executes it, and both are observed", async () => {
  const order: string[] = [];
  await using legacy = await startRawUpstream((socket) => {
    order.push("executed");
    socket.write(LEGACY);
  });
  let tried: CapturedRequest | undefined;
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    mode: { name: "shadow" },
    dryRun: async (request) => {
      tried = request;
      order.push("asked");
      await delay(50);
      order.push("told");
      return { failure: "timeout", ms: 50 };
    },
  });
  using client = openRawClient(gateway.port, WRITE);
  await client.ended;
  deepStrictEqual(order, ["asked", "told", "executed"]);
  deepStrictEqual([tried?.method, tried?.target, Buffer.from(tried?.body ?? []).toString()], [
    "POST",
    "/api/lots",
    "{}",
  ]);
  deepStrictEqual(gateway.observed.map(({ dryRun }) => dryRun), [{ failure: "timeout", ms: 50 }]);
});

Deno.test("a client that leaves after its write was sent changes nothing: the write is observed to its end", async () => {
  await using legacy = await startRawUpstream((socket) =>
    setTimeout(() => socket.write(LEGACY), 100)
  );
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    mode: { name: "shadow" },
    compares: true,
  });
  const client = openRawClient(gateway.port, WRITE);
  await eventually("the request has come", () => legacy.requests.length > 0);
  client.socket.resetAndDestroy();
  await eventually("the request is over", () => gateway.lines.length > 0);
  deepStrictEqual([gateway.answered, gateway.observed.length], [["createLot legacy 201"], 1]);
});

Deno.test("a read is cancelled when its client leaves, and counts as no fault of the upstream", async () => {
  await using legacy = await startRawUpstream(() => {});
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  const client = openRawClient(gateway.port, READ);
  await eventually("the request has come", () => legacy.requests.length > 0);
  client.socket.resetAndDestroy();
  await eventually("the connection is closed", () => legacy.open() === 0);
  deepStrictEqual(gateway.answered, []);
});
