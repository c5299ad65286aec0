import { deepStrictEqual, match } from "node:assert/strict";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { openRawClient } from "../testing/raw_client.ts";
import { statusesIn } from "../testing/raw_http.ts";

/* Bytes after a refused request on its connection, at the API itself. */

const { api, sql } = await apiOnSeed();
const port = Number(new URL(api.url).port);
const lots = async () =>
  (await sql`select lot_code from lots where lot_code like 'BEHIND%'`).length;

const LOT = "POST /api/lots HTTP/1.1\r\nHost: plant\r\nContent-Type: application/json\r\n" +
  'Content-Length: 57\r\n\r\n{"lot_code":"BEHIND-1","lot_type":"RAW","weight_kg":"10"}';
const post = (headers: string, body: string) =>
  `POST /api/lots HTTP/1.1\r\nHost: plant\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;

const REFUSED: [what: string, request: string, status: string][] = [
  ["no host", "GET /api/health HTTP/1.1\r\n\r\n", "400"],
  ["a host that is none", "GET /api/health HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"],
  ["the same length twice", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), "400"],
  [
    "a coding before chunked",
    post("Transfer-Encoding: gzip, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
    "400",
  ],
  ["too large a body", post("Content-Length: 102401\r\n", " ".repeat(102_401)), "413"],
  [
    "too large a body in chunks",
    post("Transfer-Encoding: chunked\r\n", `19001\r\n${" ".repeat(102_401)}\r\n0\r\n\r\n`),
    "413",
  ],
  ["CONNECT", "CONNECT plant:80 HTTP/1.1\r\nHost: plant:80\r\n\r\n", "404"],
];
for (const [what, request, status] of REFUSED) {
  Deno.test(`after a request with ${what}, nothing is executed`, async () => {
    using client = openRawClient(port, request + LOT);
    // The server closes the connection of an unread body.
    const received = await client.until((all) => (statusesIn(all)?.length ?? 0) === 2)
      .catch(() => client.received());
    match(statusesIn(received)?.join() ?? "", RegExp(`^${status}(?:,400)?$`));
    match(received, /^connection: close\r$/im);
    deepStrictEqual(await lots(), 0);
  });
}

// Deno's server refuses these itself: it sends only a status, and closes.
const UNSEEN: [what: string, request: string][] = [
  ["two hosts", "GET /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
  ["two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{} ")],
  ["a length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")],
  ["chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")],
  ["a broken chunk", post("Transfer-Encoding: chunked\r\n", "zz\r\n\r\n")],
  ["another version", "GET /api/health HTTP/2.0\r\nHost: a\r\n\r\n"],
  ["a header on two lines", "GET /api/health HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"],
  [
    "a head without end",
    `GET /api/health HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(600_000)}\r\n\r\n`,
  ],
];
for (const [what, request] of UNSEEN) {
  Deno.test(`after a request with ${what}, the HTTP server reads nothing`, async () => {
    using client = openRawClient(port, request + LOT);
    match(statusesIn(await client.ended)?.join() ?? "", /^(?:4\d\d)?$/);
    deepStrictEqual(await lots(), 0);
  });
}

Deno.test("a request that is refused for its content closes nothing", async () => {
  using client = openRawClient(port, post("Content-Length: 2\r\n", "{}") + LOT);
  const received = await client.until((all) => (statusesIn(all)?.length ?? 0) === 2);
  deepStrictEqual(statusesIn(received), ["422", "201"]);
});

Deno.test("of two Content-Type lines the first counts, as in Node", async () => {
  const framed = (first: string, second: string) =>
    `POST /api/lots HTTP/1.1\r\nHost: plant\r\nContent-Type: ${first}\r\ncontent-type: ${second}\r\n` +
    "Content-Length: 2\r\nConnection: close\r\n\r\n{}";
  for (
    const [first, second, status] of [
      ["application/json", "text/plain", "422"],
      ["application/json; charset=utf-8", "application/json", "422"],
      ["text/plain", "application/json", "415"],
    ] as const
  ) {
    using client = openRawClient(port, framed(first, second));
    deepStrictEqual(statusesIn(await client.ended), [status]);
  }
});
