import { doesNotMatch, match, strictEqual } from "node:assert/strict";
import { exchange, startPair } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { rawResponse } from "../../testing/raw_upstream.ts";

const GET = "GET / HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n\r\n";
const OK = rawResponse("200 OK", "ok");

/** The last of the received responses. */
const finalOf = (received: string) => received.slice(received.lastIndexOf("HTTP/1.1 "));

Deno.test("an interim response is passed on as it was parsed, without hop-by-hop headers", async () => {
  await using pair = await startPair(
    "HTTP/1.1 103 Early Hints\r\nLink:</a>  \r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=1\r\n" +
      `Upgrade: h2c\r\nTrailer: T\r\nlink: </b>\r\n\r\nHTTP/1.1 102\r\n\r\n${OK}`,
  );
  const received = await exchange(pair.server, GET);
  strictEqual(
    received.slice(0, received.lastIndexOf("HTTP/1.1 ")),
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nlink: </b>\r\n\r\nHTTP/1.1 102 \r\n\r\n",
  );
  match(finalOf(received), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/);
});

Deno.test("a 100 that no client waits for isn't passed on", async () => {
  await using pair = await startPair(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
  match(await exchange(pair.server, GET), /^HTTP\/1\.1 200 OK\r\n/);
});

Deno.test("a client that waits for 100 gets one, whatever the upstream sends", async () => {
  await using pair = await startPair(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
  using client = openRawClient(
    pair.server.port,
    "POST / HTTP/1.1\r\nHost: plant\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" +
      "Connection: close\r\n\r\n",
  );
  await client.until((received) => received === "HTTP/1.1 100 Continue\r\n\r\n");
  client.write("a");
  strictEqual((await client.ended).match(/^HTTP\/1\.1 \d+/gm)?.join(), "HTTP/1.1 100,HTTP/1.1 200");
});

const BROKEN: [what: string, head: string][] = [
  ["a bare line feed in a 103", "HTTP/1.1 103 Early Hints\r\nLink: a\nSet-Cookie: evil\r\n\r\n"],
  ["a bare line feed in a 100", "HTTP/1.1 100 Continue\nSet-Cookie: evil\r\n\r\n"],
  ["an unrequested switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\n\r\n"],
  ["a length in a 103", "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nevil"],
];
for (const [what, head] of BROKEN) {
  Deno.test(`with ${what}, the client gets only 502`, async () => {
    await using pair = await startPair(head + OK);
    const received = await exchange(pair.server, GET);
    match(received, /^HTTP\/1\.1 502 /);
    doesNotMatch(received, /evil|HTTP\/1\.1 (?:1|200)/);
  });
}
