import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { rawResponse, type RawUpstream, startRawUpstream } from "../../testing/raw_upstream.ts";
import { captured } from "../testing/captured.ts";
import { type Failure, UpstreamRequest } from "./connection.ts";
import { sendWhole } from "./send.ts";
import { UpstreamPool } from "./upstream.ts";

const LIMITS = {
  waiting: 100,
  connectMs: 30_000,
  responseTimeoutMs: 30_000,
  idleMs: 4_000,
  recentMs: 1_000,
};
const WHOLE = { timeoutMs: 20_000, capturedBytes: 1_000, maxBytes: 1_000 };

/** A pool of so many connections to a server. */
function poolOf({ url }: RawUpstream, connections: number, more: Partial<typeof LIMITS> = {}) {
  const pool = new UpstreamPool(url, { ...LIMITS, ...more, connections });
  return Object.assign(pool, { [Symbol.dispose]: () => pool.close() });
}

/** A write with this name in its body. */
const write = (name: string) =>
  captured("POST", "/api/lots", name, [["Host", "plant"], ["Content-Length", `${name.length}`]]);

/** The bodies of the requests that a server has received, in alphabetical order. */
const bodiesOf = ({ requests }: RawUpstream) =>
  requests.map((request) => request.slice(request.indexOf("\r\n\r\n") + 4)).toSorted();

const NAMES = Array.from({ length: 12 }, (_, at) => `write-${String.fromCharCode(97 + at)}`);

/** Why an idle connection may not be used again, as its server says in a response. */
const ENDED: [what: string, headers: string][] = [
  ["keeps no idle connection", "Keep-Alive: timeout=1\r\n"],
  ["closes each connection", "Connection: close\r\n"],
];
for (const [what, headers] of ENDED) {
  for (const connections of [1, 2]) {
    Deno.test(`each write that waits for one of ${connections} connections is sent once when the upstream ${what}`, async () => {
      await using upstream = await startRawUpstream((socket) => {
        setTimeout(() => socket.write(rawResponse("201 Created", "ok", headers)), 5);
      });
      using pool = poolOf(upstream, connections);
      const sent = await Promise.all(NAMES.map((name) => sendWhole(pool, write(name), WHOLE)));
      deepStrictEqual(
        sent.map((one) => "status" in one ? one.status : one.failure),
        NAMES.map(() => 201),
      );
      deepStrictEqual(bodiesOf(upstream), NAMES);
      strictEqual(pool.connections <= connections, true);
    });
  }
}

Deno.test("a waiting write that may not use an idle connection is sent once, on a new one", async () => {
  await using upstream = await startRawUpstream((socket) => {
    setTimeout(() => socket.write(rawResponse("201 Created", "ok")), 5);
  });
  // No idle connection is recent enough.
  using pool = poolOf(upstream, 2, { recentMs: -1 });
  const ended: string[] = [];
  const failures: Failure[] = [];
  for (const name of NAMES) {
    const request = new UpstreamRequest(
      pool,
      "POST",
      "recent",
      {
        send(connection) {
          connection.write(`POST / HTTP/1.1\r\nContent-Length: ${name.length}\r\n\r\n${name}`);
          connection.requestComplete();
        },
        responseContinues() {},
        responseEnds: () => void ended.push(name),
        failed: (_request, failure) => void failures.push(failure),
      },
      undefined,
    );
    pool.send(request);
    ok(pool.connections <= 2);
  }
  await eventually("each has its response", () => ended.length + failures.length === NAMES.length);
  deepStrictEqual([ended.toSorted(), failures, bodiesOf(upstream)], [NAMES, [], NAMES]);
  strictEqual(upstream.connections(), NAMES.length);
});

Deno.test("a request that waits in a pool that is closed is sent to nobody", async () => {
  await using upstream = await startRawUpstream(() => {});
  const pool = poolOf(upstream, 1);
  void sendWhole(pool, write("one"), { ...WHOLE, timeoutMs: 200 });
  const waiting = sendWhole(pool, write("two"), { ...WHOLE, timeoutMs: 200 });
  await eventually("the first one is there", () => upstream.requests.length === 1);
  pool.close();
  deepStrictEqual("failure" in await waiting, true);
  deepStrictEqual([bodiesOf(upstream), upstream.connections()], [["one"], 1]);
});
