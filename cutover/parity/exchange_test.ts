import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { startSocketServer, unusedAddress } from "../../testing/test_server.ts";
import { send } from "./exchange.ts";
import type { RecordedRequest } from "./recordings.ts";

/** The request that a server received, byte for byte. */
async function sent(request: RecordedRequest): Promise<string> {
  let received = "";
  await using server = await startSocketServer((socket) => {
    socket.on("data", (bytes: Uint8Array) => {
      received += new TextDecoder("latin1").decode(bytes);
      if (received.endsWith(END)) socket.end("HTTP/1.1 204 No Content\r\n\r\n");
    });
  });
  strictEqual((await send(server.url, request)).status, 204);
  return received.replaceAll(new URL(server.url).host, "(server)");
}

const END = "\r\n\r\n";

const REQUESTS: [what: string, request: RecordedRequest, wire: string[]][] = [
  ["a read", { method: "GET", path: "/api/../a%2F?x=../y", headers: { "X-Own": "\u00e9 a" } }, [
    "GET /api/../a%2F?x=../y HTTP/1.1",
    "X-Own: \u00e9 a",
    "Host: (server)",
    "Connection: close",
  ]],
  ["a write without a body", { method: "POST", path: "/api/lots", headers: {} }, [
    "POST /api/lots HTTP/1.1",
    "Content-Length: 0",
    "Host: (server)",
    "Connection: close",
  ]],
  ["a recorded host", { method: "DELETE", path: "/", headers: { host: "plant" } }, [
    "DELETE / HTTP/1.1",
    "host: plant",
    "Connection: close",
  ]],
];

for (const [what, request, wire] of REQUESTS) {
  Deno.test(`${what} is sent as recorded`, async () => {
    strictEqual(await sent(request), wire.join("\r\n") + END);
  });
}

Deno.test("a recorded body is sent with its length, in its bytes", async () => {
  const body = `\u00e9${END}`;
  const request = { method: "POST", path: "/", headers: {}, body, encoding: "latin1" } as const;
  const [head, rest] = (await sent(request)).split(END);
  strictEqual(head?.split("\r\n")[1], "Content-Length: 5");
  strictEqual(rest, "\u00e9");
});

Deno.test("an https address uses TLS", async () => {
  const first: number[] = [];
  await using server = await startSocketServer((socket) => {
    socket.on("data", (bytes: Uint8Array) => {
      first.push(...bytes.subarray(0, 2));
      socket.destroy();
    });
  });
  const request = { method: "GET", path: "/", headers: {} };
  strictEqual((await send(server.url.replace("http:", "https:"), request)).status, 0);
  // A record of the handshake.
  deepStrictEqual(first, [22, 3]);
});

const NO_RESPONSES: [what: string, text: string, says: RegExp][] = [
  ["half of one", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", /closed before .* complete/],
  ["nonsense", "SSH-2.0-x\r\n\r\n", /no HTTP\/1\.1 response/],
  [
    "two lengths",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    /no HTTP\/1\.1 response/,
  ],
];

for (const [what, text, says] of NO_RESPONSES) {
  Deno.test(`${what} is no response, and the reason is given`, async () => {
    await using server = await startSocketServer((socket) => void socket.end(text));
    const { status, body } = await send(server.url, { method: "GET", path: "/", headers: {} });
    strictEqual(status, 0);
    match(body, says);
  });
}

Deno.test("an unavailable server is reported with the system's message", async () => {
  const { status, body } = await send(unusedAddress(), {
    method: "GET",
    path: "/",
    headers: {},
  });
  strictEqual(status, 0);
  match(body, /ECONNREFUSED/);
});
