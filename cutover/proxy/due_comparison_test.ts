import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";
import {
  startTestGatewayServer,
  type TestGatewayServer,
  type TestGatewayServerOptions,
} from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";
import type { Mode } from "../exchange/route.ts";

const SHADOW: Mode = { name: "shadow" };
const READ = "GET /api/traceability/A HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const LEGACY = rawResponse("200 OK", "legacy");

const write = (length: number) =>
  `POST /api/lots HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`;

/** The result of each due exchange: its outcome and cause, or that it was observed. */
function endsOf({ found, observed, covered }: TestGatewayServer): string[] {
  const ends = [
    ...observed.map(() => "handed on"),
    ...found.map(({ outcome, cause }) => `${outcome} ${cause}`),
  ];
  const due = covered.filter((one) => one.endsWith(" due"));
  strictEqual(due.length, ends.length, "each exchange that is due has one end");
  return ends;
}

const compared = (options: TestGatewayServerOptions): TestGatewayServerOptions => ({
  mode: SHADOW,
  compares: true,
  ...options,
});

Deno.test("bodies up to the limit are observed completely, request and response, after a dry run", async () => {
  const [body, more] = ["x".repeat(1_048_576), "y".repeat(200_000)];
  await using legacy = await startRawUpstream(rawResponse("201 Created", `${more}${body}`));
  const tried: number[] = [];
  await using gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    mode: SHADOW,
    dryRun: (request) => {
      tried.push(request.body.length);
      return Promise.resolve({ failure: "timeout", ms: 1 });
    },
  });
  using client = openRawClient(gateway.port, write(body.length) + body);
  ok((await client.ended).endsWith(`${more}${body}`));
  deepStrictEqual(endsOf(gateway), ["handed on"]);
  const [observation] = gateway.observed;
  deepStrictEqual(
    [tried, observation?.request.body.length, observation?.response.body.length],
    [[body.length], body.length, body.length + more.length],
  );
  strictEqual(observation?.response.digest, undefined);
});

Deno.test("a slow body is compared like any other", async () => {
  await using legacy = await startRawUpstream(LEGACY);
  await using gateway = await startTestGatewayServer(
    compared({ legacyUrl: legacy.url, limits: { headTimeoutMs: 0 } }),
  );
  using client = openRawClient(gateway.port, write(2) + "{");
  await delay(100);
  deepStrictEqual(gateway.covered, [], "what isn't whole isn't due");
  client.write("}");
  ok((await client.ended).endsWith("legacy"));
  deepStrictEqual(endsOf(gateway), ["handed on"]);
});

Deno.test("a response beyond the bound reaches the client, and is observed with its digest", async () => {
  const text = "x".repeat(100_000);
  await using legacy = await startRawUpstream(rawResponse("200 OK", text));
  await using gateway = await startTestGatewayServer(
    compared({ legacyUrl: legacy.url, limits: { responseBytes: 99_999 } }),
  );
  using client = openRawClient(gateway.port, READ);
  ok((await client.ended).endsWith(text));
  deepStrictEqual(endsOf(gateway), ["handed on"]);
  const { body, digest } = gateway.observed[0]?.response ?? {};
  deepStrictEqual([body?.length, digest?.bytes], [0, text.length]);
});

Deno.test("long bodies share a bound: one waits for its turn up to a timeout, and is passed on anyway", async () => {
  const body = "x".repeat(200_000);
  await using legacy = await startRawUpstream(LEGACY);
  const limits = { headTimeoutMs: 0, comparedBytes: 300_000, comparedMs: 60_000 };
  await using patient = await startTestGatewayServer(compared({ legacyUrl: legacy.url, limits }));
  using first = openRawClient(patient.port, write(body.length) + body.slice(1));
  await eventually("the first has its share", () => patient.server.comparedBytesLeft === 100_000);
  using second = openRawClient(patient.port, write(body.length) + body);
  await delay(100);
  strictEqual(legacy.requests.length, 0);
  first.write("x");
  for (const client of [first, second]) ok((await client.ended).endsWith("legacy"));
  deepStrictEqual(endsOf(patient), ["handed on", "handed on"]);
  strictEqual(patient.server.comparedBytesLeft, 300_000);

  await using hasty = await startTestGatewayServer(
    compared({ legacyUrl: legacy.url, limits: { ...limits, comparedBytes: 0, comparedMs: 0 } }),
  );
  using third = openRawClient(hasty.port, write(body.length) + body);
  ok((await third.ended).endsWith("legacy"));
  deepStrictEqual(endsOf(hasty), ["lost queue"]);
});

Deno.test("a client that leaves ends the comparison of its read, which is counted", async () => {
  await using legacy = await startRawUpstream(() => {});
  await using gateway = await startTestGatewayServer(compared({ legacyUrl: legacy.url }));
  const client = openRawClient(gateway.port, READ);
  await eventually("the request has come", () => legacy.requests.length > 0);
  client.socket.resetAndDestroy();
  await eventually("the request is over", () => gateway.lines.length > 0);
  deepStrictEqual(endsOf(gateway), ["lost client_left"]);
});

Deno.test("a client that leaves before its request is complete counts as no request", async () => {
  await using gateway = await startTestGatewayServer(compared({}));
  const client = openRawClient(gateway.port, write(2) + "{");
  await delay(50);
  client.socket.resetAndDestroy();
  await eventually("the request is over", () => gateway.lines.length > 0);
  deepStrictEqual(endsOf(gateway), []);
});

const FAILURES: [what: string, response: Parameters<typeof startRawUpstream>[0], end: string][] = [
  ["breaks the connection", (socket) => socket.resetAndDestroy(), "unanswered reset"],
  ["breaks it in the middle", (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", () => socket.end());
  }, "unanswered reset"],
  ["says nonsense", (socket) => socket.write("nonsense\r\n\r\n"), "unanswered reset"],
  ["says nothing", () => {}, "unanswered time"],
];
for (const [what, response, end] of FAILURES) {
  Deno.test(`an old server that ${what} leaves the comparison unanswered`, async () => {
    await using legacy = await startRawUpstream(response);
    await using gateway = await startTestGatewayServer(
      compared({ legacyUrl: legacy.url, upstream: { responseTimeoutMs: 150 } }),
    );
    using client = openRawClient(gateway.port, READ);
    await client.ended;
    deepStrictEqual(endsOf(gateway), [end]);
  });
}

Deno.test("an unavailable old server leaves the comparison unanswered, one that is too busy loses it", async () => {
  await using absent = await startTestGatewayServer(compared({}));
  using client = openRawClient(absent.port, READ);
  await client.ended;
  deepStrictEqual(endsOf(absent), ["unanswered refused"]);
  await using busy = await startTestGatewayServer(
    compared({ upstream: { connections: 0, waiting: 0 } }),
  );
  using other = openRawClient(busy.port, READ);
  ok((await other.ended).startsWith("HTTP/1.1 503"));
  deepStrictEqual(endsOf(busy), ["lost overload"]);
});

Deno.test("an old server's response in place of Lotline's is observed with Lotline's result", async () => {
  await using legacy = await startRawUpstream(LEGACY);
  await using service = await startRawUpstream(rawResponse("500 Internal Server Error", "broken"));
  const mode: Mode = { name: "service" };
  for (const [serviceUrl, earlier] of [[undefined, "refused"], [service.url, 500]] as const) {
    await using gateway = await startTestGatewayServer(
      compared({ legacyUrl: legacy.url, mode, ...(serviceUrl && { serviceUrl }) }),
    );
    using client = openRawClient(gateway.port, READ);
    ok((await client.ended).endsWith("legacy"));
    deepStrictEqual(gateway.lines.map(({ side: upstream, fell_back }) => [upstream, fell_back]), [[
      "legacy",
      true,
    ]]);
    deepStrictEqual(endsOf(gateway), ["handed on"]);
    const { upstream, earlier: said } = gateway.observed[0] ?? {};
    deepStrictEqual(
      [upstream, said !== undefined && ("failure" in said ? said.failure : said.status)],
      ["legacy", earlier],
    );
  }
});

Deno.test("a request that a busy gateway refuses is a lost comparison", async () => {
  await using legacy = await startRawUpstream(() => {});
  await using gateway = await startTestGatewayServer(
    compared({ legacyUrl: legacy.url, limits: { inFlight: 1 } }),
  );
  using first = openRawClient(gateway.port, READ);
  await eventually("the first has come", () => legacy.requests.length > 0);
  using second = openRawClient(gateway.port, READ);
  ok((await second.ended).startsWith("HTTP/1.1 503"));
  first.socket.resetAndDestroy();
  await eventually("both are over", () => gateway.found.length === 2);
  deepStrictEqual(endsOf(gateway), ["lost overload", "lost client_left"]);
});

Deno.test("an exchange that a stopping gateway cuts off is lost", async () => {
  await using legacy = await startRawUpstream(() => {});
  const gateway = await startTestGatewayServer(compared({ legacyUrl: legacy.url }));
  using client = openRawClient(gateway.port, READ);
  await eventually("the request has come", () => legacy.requests.length > 0);
  await gateway[Symbol.asyncDispose]();
  await client.ended;
  deepStrictEqual(endsOf(gateway), ["lost stopped"]);
});

Deno.test("on a legacy route nothing is due, even when it is recorded", async () => {
  await using legacy = await startRawUpstream(rawResponse("200 OK", "x".repeat(70_000)));
  await using gateway = await startTestGatewayServer(
    compared({ legacyUrl: legacy.url, mode: { name: "legacy" } }),
  );
  using client = openRawClient(gateway.port, READ);
  await client.ended;
  deepStrictEqual([gateway.covered, gateway.found, gateway.observed], [[], [], []]);
});
