import { deepStrictEqual, match, ok } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { delay } from "../../timing.ts";
import { exchange, startPair } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { rawResponse } from "../../testing/raw_upstream.ts";
import { statusesIn } from "../../testing/raw_http.ts";

/* The most bytes a client may send that are neither a head nor a body. */

const OK = rawResponse("200 OK", "ok");
const HEAD = "POST /first HTTP/1.1\r\nHost: plant\r\nTransfer-Encoding: chunked\r\n\r\n";
const END = "0\r\n\r\n";
const GET = "GET /next HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n\r\n";

const TOO_MUCH: [what: string, body: string][] = [
  ["a chunk extension", `3;${"e".repeat(20_000)}\r\nabc\r\n${END}`],
  ["an extension of the last chunk", `3\r\nabc\r\n0;${"e".repeat(20_000)}\r\n\r\n`],
  ["many chunk extensions", `${`1;${"e".repeat(900)}\r\na\r\n`.repeat(20)}${END}`],
  ["zeros before a chunk's size", `${"0".repeat(20_000)}3\r\nabc\r\n${END}`],
  ["chunks of one byte", "1\r\na\r\n".repeat(200_000) + END],
  ["trailers", `3\r\nabc\r\n0\r\n${"T: 1\r\n".repeat(4_000)}\r\n`],
  ["spaces in a trailer", `3\r\nabc\r\n0\r\nT:${" ".repeat(20_000)}1\r\n\r\n`],
];
for (const [what, body] of TOO_MUCH) {
  Deno.test(`more of ${what} than Node allows is refused with 413, and isn't forwarded`, async () => {
    // In one packet, after the head, and in parts.
    for (const cuts of [[0], [HEAD.length], [HEAD.length + 5, 9_000]]) {
      await using pair = await startPair(OK);
      using client = openRawClient(pair.server.port);
      const request = HEAD + body;
      let from = 0;
      for (const to of [...cuts, request.length]) {
        client.write(request.slice(from, to));
        from = to;
        await delay(5);
      }
      const received = await client.ended;
      deepStrictEqual(statusesIn(received), ["413"]);
      match(received, /\r\nConnection: close\r\n/);
      deepStrictEqual(pair.upstream.received(), "");
    }
  });
}

Deno.test("a chunk extension without end is read no further than its bound", async () => {
  await using pair = await startPair(OK);
  using client = openRawClient(pair.server.port, `${HEAD}3;`);
  const part = "e".repeat(100_000);
  let sent = 0;
  client.socket.on("drain", () => {
    sent += part.length;
    client.write(part);
  });
  client.write(part);
  deepStrictEqual(statusesIn(await client.until((received) => received.endsWith("}"))), ["413"]);
  deepStrictEqual(pair.upstream.received(), "");
  ok(sent < 100_000_000);
});

Deno.test("chunk extensions and trailers in realistic number are passed on", async () => {
  await using pair = await startPair(OK);
  const body = `${`1;name="${"e".repeat(700)}"\r\na\r\n`.repeat(20)}0\r\nT: 1\r\n\r\n`;
  deepStrictEqual(statusesIn(await exchange(pair.server, HEAD + body + GET)), ["200", "200"]);
  const first = pair.upstream.requests.find((request) => request.startsWith("POST"));
  match(first ?? "", /(?:1\r\na\r\n){20}0\r\n\r\n$|14\r\na{20}\r\n0\r\n\r\n$/);
});

Deno.test("a body in chunks of one byte is passed on", async () => {
  await using pair = await startPair(OK);
  const body = "1\r\na\r\n".repeat(102_400) + END;
  deepStrictEqual(statusesIn(await exchange(pair.server, HEAD + body + GET)), ["200", "200"]);
  // Chunks that arrived together were forwarded together.
  const [first = ""] = pair.upstream.requests.filter((request) => request.startsWith("POST"));
  ok(first.length < 2 * 102_400);
});

Deno.test("requests sent ahead don't count as framing bytes", async () => {
  await using pair = await startPair(OK);
  const many = `GET /${"x".repeat(1_000)} HTTP/1.1\r\nHost: plant\r\n\r\n`.repeat(40);
  const received = await exchange(
    pair.server,
    `${HEAD}3;e\r\nabc\r\n${END}${many}${HEAD}${END}${GET}`,
  );
  deepStrictEqual(statusesIn(received)?.length, 43);
});

const WASTE: [what: string, before: string, after: string][] = [
  ["empty lines before a request", "\r\n", GET],
  ["spaces before a header's value", `GET /next HTTP/1.1\r\nX:`, "1\r\nHost: plant\r\n\r\n"],
];
for (const [what, before, after] of WASTE) {
  for (const first of ["", "GET / HTTP/1.1\r\nHost: plant\r\n\r\n"]) {
    Deno.test(`${what} are limited, ${first === "" ? "at first" : "later"} on a connection`, async () => {
      await using pair = await startPair(OK);
      using client = openRawClient(pair.server.port, first);
      if (first !== "") await client.until((received) => received.endsWith("ok"));
      const filler = before === "\r\n" ? before : " ";
      client.write(before);
      client.write(filler.repeat(200_000 / filler.length));
      client.write(after);
      const received = await client.ended;
      match(received, /HTTP\/1\.1 431 [^]*\{"error":"The headers are too long"\}$/);
      deepStrictEqual(pair.upstream.requests.filter((request) => request.includes("next")), []);
    });
  }
}

Deno.test("empty lines don't keep an unused connection open", async () => {
  await using pair = await startPair(OK, { limits: { keepAliveMs: 100, headerMs: 100 } });
  using client = openRawClient(pair.server.port, "GET / HTTP/1.1\r\nHost: plant\r\n\r\n");
  await client.until((received) => received.endsWith("ok"));
  let isOver = false;
  const timer = setInterval(() => client.write("\r\n"), 20);
  client.ended.then(() => isOver = true);
  await eventually("the connection is closed", () => isOver);
  clearInterval(timer);
});

Deno.test("a connection that is used repeatedly stays open", async () => {
  await using pair = await startPair(OK, { limits: { keepAliveMs: 200, headerMs: 1 } });
  using client = openRawClient(pair.server.port);
  for (let at = 1; at <= 10; at++) {
    client.write("GET / HTTP/1.1\r\nHost: plant\r\n\r\n");
    await client.until((received) => statusesIn(received).length === at);
    await delay(60);
  }
});
