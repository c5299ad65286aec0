import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { Mode } from "../exchange/route.ts";
import { eventually } from "../../testing/eventually.ts";
import { startTestGatewayServer } from "../testing/gateway_server.ts";
import { openRawClient, type RawClient } from "../../testing/raw_client.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";

// Runs alone: a request is held between two reads of its route.

/*
 * The outcome of requests to Lotline whose route goes back to the old server before Lotline has
 * received them completely.
 */

const SERVICE: Mode = { name: "service" };
const LEGACY: Mode = { name: "legacy" };
// The response to `Expect` shows that the head has arrived, and that its upstream was decided.
const HEADERS = "Host: x\r\nExpect: 100-continue\r\nConnection: close\r\n";
const GET = `GET /api/health HTTP/1.1\r\n${HEADERS}\r\n`;
const post = (length: number) =>
  `POST /api/lots HTTP/1.1\r\n${HEADERS}Content-Length: ${length}\r\n\r\n`;
const isDecided = (client: RawClient) => client.until((text) => text.includes(" 100 "));

/** A gateway whose route can be moved, and two upstreams that name themselves. */
async function startMoving(options: Parameters<typeof startTestGatewayServer>[0] = {}) {
  const stack = new AsyncDisposableStack();
  const legacy = stack.use(await startRawUpstream(rawResponse("200 OK", "old")));
  const service = stack.use(await startRawUpstream(rawResponse("200 OK", "new")));
  let mode = SERVICE;
  const gateway = stack.use(
    await startTestGatewayServer({
      legacyUrl: legacy.url,
      serviceUrl: service.url,
      modeNow: () => mode,
      ...options,
    }),
  );
  return {
    legacy,
    service,
    front: gateway,
    moveTo: (to: Mode) => mode = to,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

Deno.test("a write goes to the old server if its body arrives after its route went back", async () => {
  await using it = await startMoving({ limits: { headTimeoutMs: 60_000 } });
  using client = openRawClient(it.front.port, post(4));
  client.write("ab");
  await isDecided(client);
  it.moveTo(LEGACY);
  client.write("cd");
  match(await client.ended, /old$/);
  strictEqual(it.service.received(), "");
  strictEqual(it.front.answered.join(), "createLot legacy 200");
});

Deno.test("a write that is half sent to Lotline when its route goes back is cut off there, and its client gets 503", async () => {
  await using it = await startMoving({ limits: { headTimeoutMs: 0 } });
  using client = openRawClient(it.front.port, post(4));
  client.write("ab");
  await eventually("half of it is there", () => {
    return Promise.resolve(it.service.received().endsWith("ab"));
  });
  it.moveTo(LEGACY);
  const response = await client.until((received) => received.includes("}"));
  match(response, /HTTP\/1\.1 503 [^]*Retry-After: 1\r\n/);
  client.write("cd");
  await eventually("the connection to Lotline is closed", () => {
    return Promise.resolve(it.service.open() === 0);
  });
  strictEqual(it.service.requests.length, 0);
  using again = openRawClient(it.front.port, `${post(4)}abcd`);
  match(await again.ended, /old$/);
});

Deno.test("requests that wait for a connection to Lotline go to the old server after their route went back, reads too", async () => {
  await using hanging = await startRawUpstream(() => {});
  await using it = await startMoving({
    serviceUrl: hanging.url,
    upstream: { connections: 1, waiting: 10, responseTimeoutMs: 60_000 },
  });
  using first = openRawClient(it.front.port, `${post(2)}{}`);
  await eventually("Lotline has one", () => Promise.resolve(hanging.requests.length === 1));
  using write = openRawClient(it.front.port, `${post(2)}{}`);
  using read = openRawClient(it.front.port, GET);
  for (const client of [write, read]) await isDecided(client);
  it.moveTo(LEGACY);
  match(await write.ended, /old$/);
  match(await read.ended, /old$/);
  strictEqual(hanging.requests.length, 1);
  deepStrictEqual(it.front.answered.sort(), ["createLot legacy 200", "getHealth legacy 200"]);
  strictEqual(first.received().includes(" 200 "), false, "what Lotline has whole is its own");
});

Deno.test("a write goes to the old server when its client has left the canary, and to Lotline while it is in it", async () => {
  for (
    const [to, response] of [[{ name: "canary", percent: 1 }, "old"], [
      { name: "canary", percent: 99 },
      "new",
    ]] as const
  ) {
    await using it = await startMoving({ limits: { headTimeoutMs: 60_000 } });
    it.moveTo({ name: "canary", percent: 98 });
    using client = openRawClient(it.front.port, post(2));
    await isDecided(client);
    it.moveTo(to);
    client.write("{}");
    ok((await client.ended).endsWith(response));
  }
});
