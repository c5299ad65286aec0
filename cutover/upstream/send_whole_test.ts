import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { startBlackHole, startResponding } from "../../testing/test_server.ts";
import { sendWhole } from "./send.ts";
import { UpstreamPool } from "./upstream.ts";

const GET = {
  method: "GET",
  target: "/",
  headers: [["Host", "plant"]],
  body: new Uint8Array(),
} as const;
const OPTIONS = { capturedBytes: 100, maxBytes: 1_000 } as const;

function upstreamAt(url: string, connections = 1) {
  const limits = { connectMs: 9_000, responseTimeoutMs: 9_000, idleMs: 9_000, recentMs: 9_000 };
  const upstream = new UpstreamPool(url, { connections, waiting: 1, ...limits });
  return Object.assign(upstream, { [Symbol.dispose]: () => upstream.close() });
}

Deno.test("a request past its deadline releases its connection, open or still being opened", async () => {
  await using hole = await startBlackHole();
  using upstream = upstreamAt(hole.url);
  for (const timeoutMs of [0, 150]) {
    const sent = sendWhole(upstream, GET, { ...OPTIONS, timeoutMs });
    strictEqual(upstream.connections, 1);
    const waiting = sendWhole(upstream, GET, { ...OPTIONS, timeoutMs });
    const both = await Promise.all([sent, waiting]);
    deepStrictEqual(both.map((one) => "failure" in one && one.failure), [
      "timeout",
      "timeout",
    ]);
    strictEqual(upstream.connections, 0);
  }
});

Deno.test("one that finds neither a connection nor a place in the queue fails immediately", async () => {
  await using hole = await startBlackHole();
  using upstream = upstreamAt(hole.url);
  const options = { ...OPTIONS, timeoutMs: 60_000 };
  const held = [sendWhole(upstream, GET, options), sendWhole(upstream, GET, options)];
  const refused = await sendWhole(upstream, GET, options);
  ok("failure" in refused && refused.failure === "busy");
  strictEqual(held.length, 2);
});

Deno.test("a response of more bytes than allowed isn't read to its end", async () => {
  await using server = await startResponding((_, write) => write(200, "x".repeat(1_001)));
  using upstream = upstreamAt(server.url);
  const sent = await sendWhole(upstream, GET, OPTIONS);
  ok("failure" in sent && sent.failure === "too_large");
  strictEqual(upstream.connections, 0);
});

Deno.test("a request that would be parsed as something else isn't written", async () => {
  await using server = await startResponding((_, write) => write(200, "{}"));
  using upstream = upstreamAt(server.url);
  const headers = (name: string, value: string) => ({ headers: [[name, value]] as const });
  const wrong = [
    { method: "GET /x" },
    { method: "" },
    { target: "/a b" },
    { target: "/\r\nx" },
    { target: "/\u0151" },
    { target: "" },
    headers("a b", "1"),
    headers("", "1"),
    headers("a", "1\r\nb: 2"),
    headers("a", "\0"),
    headers("a", "\u0151"),
  ];
  for (const change of wrong) {
    const sent = await sendWhole(upstream, { ...GET, ...change }, OPTIONS);
    ok("failure" in sent && sent.failure === "invalid", JSON.stringify(change));
  }
  strictEqual(upstream.connections, 0);
  ok("status" in await sendWhole(upstream, GET, OPTIONS));
});
