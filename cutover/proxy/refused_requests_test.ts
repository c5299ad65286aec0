import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { exchange, startPair } from "../testing/gateway_server.ts";
import { rawResponse } from "../../testing/raw_upstream.ts";

const post = (headers: string, body = "", line = "POST / HTTP/1.1") =>
  `${line}\r\nHost: plant\r\n${headers}\r\n${body}`;
const NO_REQUEST = "This is no request of HTTP/1.1";
const ONLY_CHUNKED = "The only transfer encoding is chunked";
/** `says` is the reason when it isn't that the bytes are no request. */
const REFUSED: [what: string, request: string, status: number, says?: string][] = [
  [
    "a length and chunks",
    post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    400,
  ],
  [
    "chunks and a length",
    post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"),
    400,
  ],
  ["two lengths", post("Content-Length: 4\r\nContent-Length: 5\r\n", "abcde"), 400],
  ["the same length twice", post("Content-Length: 4\r\nContent-Length: 4\r\n", "abcd"), 400],
  ["a list of lengths", post("Content-Length: 4, 4\r\n", "abcd"), 400],
  ["a length with a sign", post("Content-Length: +4\r\n", "abcd"), 400],
  ["a length in hex", post("Content-Length: 0x4\r\n", "abcd"), 400],
  ["a negative length", post("Content-Length: -1\r\n"), 400],
  ["an encoding that isn't known", post("Transfer-Encoding: identity\r\n"), 400, ONLY_CHUNKED],
  [
    "an encoding that looks like chunked",
    post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
    400,
    ONLY_CHUNKED,
  ],
  ["gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400, ONLY_CHUNKED],
  [
    "chunked twice",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    400,
  ],
  ["a space before the colon", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400],
  [
    "chunks in HTTP/1.0",
    post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "POST / HTTP/1.0"),
    400,
    "HTTP/1.0 knows no chunks",
  ],
  ["a folded header", post("X-A: 1\r\n 2\r\n"), 400],
  ["a header that is folded at once", "GET / HTTP/1.1\r\n X: 1\r\nHost: plant\r\n\r\n", 400],
  ["a bare line feed", "GET / HTTP/1.1\nHost: plant\n\n", 400],
  ["a bare carriage return", post("X-A: 1\r2\r\n"), 400],
  ["NUL in a header", post("X-A: 1\x002\r\n"), 400],
  ["no colon", post("nonsense\r\n"), 400],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400, "The request has no Host header"],
  ["two hosts", post("host: other\r\n"), 400, "The request names two hosts"],
  ["a space in the target", "GET /a b HTTP/1.1\r\nHost: plant\r\n\r\n", 400],
  ["a chunk size with a sign", post("Transfer-Encoding: chunked\r\n", "+1\r\na\r\n0\r\n\r\n"), 400],
  [
    "a chunk size in two ways",
    post("Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n"),
    400,
  ],
  ["chunks with bare line feeds", post("Transfer-Encoding: chunked\r\n", "1\na\n0\n\n"), 400],
  [
    "a chunk longer than it said",
    post("Transfer-Encoding: chunked\r\n", "1\r\nabc\r\n0\r\n\r\n"),
    400,
  ],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["another protocol", "\x16\x03\x01\x02\x00\x01", 400],
  ["a method that isn't known", "get / HTTP/1.1\r\nHost: plant\r\n\r\n", 400],
  [
    "CONNECT",
    "CONNECT plant:80 HTTP/1.1\r\nHost: plant:80\r\n\r\n",
    405,
    "This is no proxy for CONNECT",
  ],
  [
    "headers that are too long",
    post(`X-A: ${"a".repeat(17_000)}\r\n`),
    431,
    "The headers are too long",
  ],
];
for (const [what, request, status, says = NO_REQUEST] of REFUSED) {
  Deno.test(`a request with ${what} is refused with ${status} and goes nowhere`, async () => {
    await using pair = await startPair(rawResponse("200 OK", "ok"));
    // Another request rides on it, as in an attack that makes two servers see different requests.
    const smuggled = "GET /smuggled HTTP/1.1\r\nHost: plant\r\n\r\n";
    const response = await exchange(pair.server, request + smuggled);
    match(response, RegExp(`^HTTP/1\\.1 ${status} `));
    const [, body = ""] = response.split("\r\n\r\n");
    match(response, /\r\nConnection: close\r\n/i);
    match(response, /\r\nContent-Type: application\/json; charset=utf-8\r\n/);
    strictEqual(body, JSON.stringify({ error: says }), "one response, and no other after it");
    strictEqual(pair.upstream.received(), "");
    deepStrictEqual(pair.server.ended, [`unknown ${status}`], "it is counted once");
  });
}
