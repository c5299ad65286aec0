import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { startTestGatewayServer } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { startRawUpstream } from "../../testing/raw_upstream.ts";

const PACKED = gzipSync(JSON.stringify({ status: "ok", notes: "as planned ".repeat(300) }))
  .toString("latin1");
const HEAD = "HTTP/1.1 200 OK\r\n" +
  "Server: nginx/1.26.3\r\nContent-Type: application/json; charset=utf-8\r\n" +
  'VARY: Accept-Encoding, Origin\r\nETag: W/"2f-abc-gzip"\r\nAccept-Ranges: none\r\n' +
  "Content-Encoding: gzip\r\nStrict-Transport-Security: max-age=300\r\nVia: 1.1 proxy\r\n" +
  "X-Request-Id: of-the-proxy\r\n";
const size = PACKED.length.toString(16);
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`;

const RESPONSES: [what: string, method: string, response: string, body: string][] = [
  ["with its length", "GET", `${HEAD}Content-Length: ${PACKED.length}\r\n\r\n${PACKED}`, PACKED],
  [
    "in chunks",
    "GET",
    `${CHUNKED}${size}\r\n${PACKED}\r\n0\r\n\r\n`,
    `${size}\r\n${PACKED}\r\n0\r\n\r\n`,
  ],
  ["to HEAD, with a length", "HEAD", `${HEAD}Content-Length: ${PACKED.length}\r\n\r\n`, ""],
  ["to HEAD, in no chunks", "HEAD", CHUNKED, ""],
  ["not modified", "GET", `${HEAD.replace("200 OK", "304 Not Modified")}\r\n`, ""],
];

for (const mode of ["legacy", "service"] as const) {
  for (const [what, method, response, body] of RESPONSES) {
    Deno.test(`in ${mode}, a compressed response ${what} reaches the client unchanged`, async () => {
      await using upstream = await startRawUpstream(response);
      await using gateway = await startTestGatewayServer({
        legacyUrl: upstream.url,
        serviceUrl: upstream.url,
        mode: { name: mode },
        compares: true,
      });
      const requested = `${method} /api/health HTTP/1.1\r\nHost: x\r\n` +
        "Accept-Encoding: gzip;q=0.9, BR , *;q=0\r\naccept-encoding: identity\r\n\r\n";
      using client = openRawClient(gateway.port, requested);
      const received = await client.until((text) => {
        const end = text.indexOf("\r\n\r\n");
        return end !== -1 && text.length >= end + 4 + body.length;
      });
      const [head = ""] = received.split("\r\n\r\n", 1);
      const lines = head.split("\r\n");
      const sent = response.split("\r\n\r\n", 1)[0]?.split("\r\n") ?? [];
      const ofConnection = /^(?:transfer-encoding|connection|keep-alive):/i;
      deepStrictEqual(
        lines.filter((line) => !ofConnection.test(line)),
        sent.filter((line) => !ofConnection.test(line)),
      );
      strictEqual(received.slice(head.length + 4), body);
      const passed = (upstream.requests[0] ?? "").split("\r\n")
        .filter((line) => /^accept-encoding/i.test(line));
      deepStrictEqual(passed, [
        "Accept-Encoding: gzip;q=0.9, BR , *;q=0",
        "accept-encoding: identity",
      ]);
    });
  }
}
