import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { captured } from "../testing/captured.ts";
import {
  startBlackHole,
  startResponding,
  startSocketServer,
  unusedAddress,
} from "../../testing/test_server.ts";
import { createSender } from "./send.ts";

const get = captured("GET", "/api/traceability/A");

async function failureOf(url: string, request = get): Promise<string> {
  using sender = createSender(url, 1);
  const requested = await sender.send(request, 200);
  return "failure" in requested ? requested.failure : String(requested.status);
}

Deno.test("an upstream without a response has one of four failures, and nothing is thrown", async () => {
  await using resetting = await startSocketServer((socket) => socket.resetAndDestroy());
  await using server = await startResponding((_, write) => write(200, "{}"));
  await using hole = await startBlackHole();
  await using half = await startSocketServer((socket) => {
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  await using endless = await startSocketServer((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  });
  strictEqual(await failureOf(unusedAddress()), "refused");
  strictEqual(await failureOf(resetting.url), "reset");
  strictEqual(await failureOf(half.url), "reset");
  strictEqual(await failureOf(hole.url), "timeout");
  strictEqual(await failureOf(endless.url), "timeout");
  strictEqual(await failureOf(server.url, captured("GET", "/\r\nx")), "not_asked");
});

Deno.test("a response too large to capture is represented by its length and its digest", async () => {
  const text = "x".repeat(262_145);
  await using server = await startResponding((_, write) => write(200, text));
  using sender = createSender(server.url, 1);
  const small = await sender.send(get, 10_000);
  ok("status" in small);
  const sha256 = createHash("sha256").update(text).digest("hex");
  deepStrictEqual([small.body.length, small.digest], [0, { bytes: text.length, sha256 }]);
  const whole = await sender.send(get, 10_000, [], text.length);
  ok("status" in whole);
  deepStrictEqual([whole.body.length, whole.digest], [text.length, undefined]);
});

Deno.test("a persistent connection that the upstream has just closed is no failure", async () => {
  let connections = 0;
  let requestsInAll = 0;
  await using closing = await startSocketServer((socket) => {
    connections++;
    let requests = 0;
    socket.on("data", () => {
      requestsInAll++;
      if (requests++ === 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      else socket.resetAndDestroy();
    });
  });
  using sender = createSender(closing.url, 1);
  const dryRun = captured("POST", "/api/lots", "{}");
  for (let i = 0; i < 3; i++) ok("status" in await sender.send(dryRun, 5_000));
  strictEqual(connections, 3);
  strictEqual(requestsInAll, 5);
});

Deno.test("a body is sent with its length; an empty one with a length only if the client announced one", async () => {
  const seen: (string | undefined)[] = [];
  await using server = await startResponding(({ headers }, write) => {
    seen.push(headers["content-length"], headers["transfer-encoding"]);
    write(200, "{}");
  });
  using sender = createSender(server.url, 1);
  const empty = (method: string, ...headers: [string, string][]) =>
    captured(method, "/api/lots", "", headers);
  await sender.send(captured("POST", "/api/lots", "{}"), 5_000);
  await sender.send(empty("POST", ["Content-Length", "0"]), 5_000);
  await sender.send(empty("POST", ["Transfer-Encoding", "chunked"]), 5_000);
  await sender.send(empty("GET", ["Content-Length", "0"]), 5_000);
  await sender.send(empty("POST"), 5_000);
  await sender.send(get, 5_000);
  const lengths = seen.filter((_, at) => at % 2 === 0);
  deepStrictEqual(lengths, ["2", "0", "0", "0", undefined, undefined]);
  deepStrictEqual(seen.filter((_, at) => at % 2 === 1), lengths.map(() => undefined));
});

Deno.test("the request is the client's, except for hop-by-hop headers", async () => {
  const seen: IncomingMessage[] = [];
  await using server = await startResponding((request, write) => {
    seen.push(request);
    write(200, "{}");
  });
  using sender = createSender(server.url, 1);
  const request = {
    ...captured("GET", "/api/traceability/%C5%90%2F?a=../b"),
    headers: [
      ["Host", "plant.example"],
      ["Connection", "keep-alive, X-Own"],
      ["X-Own", "1"],
      ["Keep-Alive", "timeout=5"],
      ["If-None-Match", 'W/"1"'],
      ["Accept-Encoding", "identity"],
      ["X-Twice", "a"],
      ["X-Twice", "b"],
      ["X-Request-Id", "plant-7"],
      ["x-lotline-dry-run", "t=1,sig=made-up"],
    ] as const,
  };
  await sender.send(request, 5_000, [["x-request-id", "plant-7-shadow"]]);
  const [first] = seen;
  strictEqual(first?.url, "/api/traceability/%C5%90%2F?a=../b");
  const { host, connection: _connection, ...headers } = first?.headers ?? {};
  strictEqual(host, new URL(server.url).host);
  deepStrictEqual({ ...headers }, {
    "if-none-match": 'W/"1"',
    "accept-encoding": "identity",
    "x-twice": "a, b",
    "x-request-id": "plant-7-shadow",
  });
});
