import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { exchange, startPair } from "../testing/gateway_server.ts";
import { openRawClient } from "../../testing/raw_client.ts";
import { rawResponse } from "../../testing/raw_upstream.ts";

const GET = "GET / HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n\r\n";
const OK = rawResponse("200 OK", "ok");

/** The request id that the front made up, taken out. */
const withoutId = (text: string) => text.replace(/^X-Request-Id: [\w-]{36}\r\n/m, "");

Deno.test("a response reaches the client unchanged: status, reason, headers, case, duplicates, bytes", async () => {
  const head = "HTTP/1.1 299 D\xe9j\xe0 Vu\r\nX-b: 1\r\nx-B:  \xe9\x80 \r\nSet-Cookie: a\r\n" +
    "set-cookie: b\r\nEmpty:\r\nX-Request-Id: theirs\r\nContent-Length: 4\r\n";
  await using pair = await startPair(`${head}\r\n\0\xff\r\n`);
  strictEqual(
    await exchange(pair.server, GET),
    `${head.replace(":  \xe9\x80 ", ": \xe9\x80").replace("Empty:", "Empty: ")}` +
      "Connection: close\r\n\r\n\0\xff\r\n",
  );
});

Deno.test("a request goes to the side as it is, with who asks", async () => {
  await using pair = await startPair(OK);
  const body = "\0\xff{";
  await exchange(
    pair.server,
    "POST //A/..%2f/%zz?q=%00&&#x HTTP/1.1\r\nhOST: Plant:80\r\nX-b: \xe91\r\nx-B: 2\r\n" +
      "Cookie: a\r\nX-Request-Id: my-id.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\n" + body,
  );
  strictEqual(
    pair.upstream.requests[0],
    "POST //A/..%2f/%zz?q=%00&&#x HTTP/1.1\r\nhOST: Plant:80\r\nX-b: \xe91\r\nx-B: 2\r\n" +
      "Cookie: a\r\nContent-Length: 3\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n" +
      "X-Forwarded-Host: Plant:80\r\nX-Request-Id: my-id.1\r\n\r\n" + body,
  );
});

Deno.test("headers about one connection stay on it, both ways, also those that Connection names", async () => {
  const hops = "Connection: X-Hop, close\r\nKeep-Alive: timeout=9\r\nX-Hop: 1\r\n" +
    "Proxy-Connection: x\r\nTE: trailers\r\nTrailer: T\r\nUpgrade: h2c\r\n";
  await using pair = await startPair(
    `HTTP/1.1 200 OK\r\n${hops}X-End: 1\r\nContent-Length: 0\r\n\r\n`,
  );
  const response = await exchange(
    pair.server,
    `GET / HTTP/1.1\r\nHost: plant\r\n${hops}Proxy-Authorization: x\r\n\r\n`,
  );
  strictEqual(
    withoutId(response),
    "HTTP/1.1 200 OK\r\nX-End: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
  );
  const [head = ""] = pair.upstream.requests;
  deepStrictEqual(head.split("\r\n").map((line) => line.split(":")[0]), [
    "GET / HTTP/1.1",
    "Host",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Request-Id",
    "",
    "",
  ]);
});

Deno.test("Connection can't take away the host, the length or what the front adds", async () => {
  await using pair = await startPair(OK);
  await exchange(
    pair.server,
    "POST / HTTP/1.1\r\nHost: plant\r\nContent-Length: 1\r\n" +
      "Connection: close, host, content-length, x-forwarded-for, x-request-id\r\n\r\na",
  );
  match(pair.upstream.requests[0] ?? "", /^Host: plant\r\nContent-Length: 1\r\n/m);
  match(pair.upstream.requests[0] ?? "", /^X-Forwarded-For: 127.0.0.1\r$/m);
  match(pair.upstream.requests[0] ?? "", /^X-Request-Id: /m);
});

const FORWARDED = "X-Forwarded-For: 192.0.2.7\r\nx-forwarded-for: 10.0.0.1\r\n" +
  "X-Forwarded-Proto: https\r\nX-Forwarded-Host: outside\r\n";
const TRUST: [who: string, trusted: string[], forwarded: string][] = [
  [
    "a trusted proxy said is kept and added to",
    ["127.0.0.0/8"],
    "X-Forwarded-For: 192.0.2.7, 10.0.0.1, 127.0.0.1\r\nX-Forwarded-Proto: https\r\n" +
    "X-Forwarded-Host: outside\r\n",
  ],
  [
    "anyone else said is replaced",
    ["192.0.2.0/24"],
    "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: plant\r\n",
  ],
];
for (const [who, trustedProxies, forwarded] of TRUST) {
  Deno.test(`what ${who}`, async () => {
    await using pair = await startPair(OK, { trustedProxies });
    await exchange(pair.server, GET.replace("\r\n\r\n", `\r\n${FORWARDED}\r\n`));
    ok(pair.upstream.received().includes(forwarded), pair.upstream.received());
    strictEqual(pair.upstream.requests[0]?.match(/x-forwarded-/gi)?.length, 3);
  });
}

Deno.test("a request id that isn't sane, or given twice, is replaced; the client is told the one in use", async () => {
  await using pair = await startPair(OK);
  for (const id of ["a b", "x".repeat(65), "é", "a\r\nX-Request-Id: a"]) {
    const response = await exchange(
      pair.server,
      GET.replace("\r\n\r\n", `\r\nX-Request-Id: ${id}\r\n\r\n`),
    );
    const notified = /^X-Request-Id: ([\w-]{36})\r$/m.exec(response)?.[1];
    ok(notified !== undefined, response);
    ok(pair.upstream.requests.at(-1)?.includes(`X-Request-Id: ${notified}\r\n`));
  }
});

Deno.test("a client's dry run header goes nowhere", async () => {
  await using pair = await startPair(OK);
  await exchange(pair.server, GET.replace("\r\n\r\n", "\r\nX-Lotline-Dry-Run: t=1,sig=ab\r\n\r\n"));
  strictEqual(pair.upstream.requests[0]?.includes("ry-"), false);
});

const FORMS: [what: string, response: string, request: string, received: string][] = [
  [
    "204 with a length",
    "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: 1\r\n\r\n",
    GET,
    "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: 1\r\nConnection: close\r\n\r\n",
  ],
  [
    "304",
    'HTTP/1.1 304 Not Modified\r\nETag: W/"1"\r\n\r\n',
    GET,
    'HTTP/1.1 304 Not Modified\r\nETag: W/"1"\r\nConnection: close\r\n\r\n',
  ],
  [
    "a response to HEAD",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    GET.replace("GET", "HEAD"),
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
  ],
  [
    "a response in chunks",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n",
    GET,
    "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  ],
  [
    "a response in chunks for a client of HTTP/1.0",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc",
  ],
  [
    "an interim response",
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`,
    GET,
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
  ],
  [
    "no interim response for a client of HTTP/1.0",
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`,
    "GET / HTTP/1.0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
  ],
];
for (const [what, response, request, received] of FORMS) {
  Deno.test(`${what} reaches the client in its form`, async () => {
    await using pair = await startPair(response);
    strictEqual(withoutId(await exchange(pair.server, request)), received);
  });
}

Deno.test("a response that ends with its connection is complete for the client", async () => {
  await using pair = await startPair((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\nabc"));
  match(await exchange(pair.server, GET), /\r\n3\r\nabc\r\n0\r\n\r\n$/);
});

Deno.test("a response with a header that may not be forwarded is 502", async () => {
  await using pair = await startPair("HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok");
  match(await exchange(pair.server, GET), /^HTTP\/1\.1 502 [^]*\r\n\r\n\{"error":"[^"]+"\}$/);
});

Deno.test("a client of HTTP/1.0 that names no host is served", async () => {
  await using pair = await startPair(OK);
  match(await exchange(pair.server, "GET / HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n/);
  match(
    pair.upstream.requests[0] ?? "",
    RegExp(`^GET / HTTP/1\\.1\r\nHost: 127\\.0\\.0\\.1:${pair.upstream.port}\r\n`),
  );
});

for (const method of ["OPTIONS", "TRACE", "PROPFIND", "PURGE", "DELETE", "PATCH", "M-SEARCH"]) {
  Deno.test(`${method} is passed on`, async () => {
    await using pair = await startPair(OK);
    match(await exchange(pair.server, GET.replace("GET", method)), /^HTTP\/1\.1 200 /);
    match(pair.upstream.requests[0] ?? "", RegExp(`^${method} / HTTP/1\\.1\r\n`));
  });
}

for (const target of ["*", "http://other/x?y", '/a|b{}^`"<>\\', `/${"x".repeat(8_000)}`]) {
  Deno.test(`the target ${target.slice(0, 30)} is passed on as it is written`, async () => {
    await using pair = await startPair(OK);
    await exchange(pair.server, GET.replace("GET /", `OPTIONS ${target}`));
    ok(pair.upstream.requests[0]?.startsWith(`OPTIONS ${target} HTTP/1.1\r\n`));
  });
}

const post = (headers: string, body = "", line = "POST / HTTP/1.1") =>
  `${line}\r\nHost: plant\r\n${headers}\r\n${body}`;

Deno.test("a request for an upgrade is an ordinary one, and the last on its connection", async () => {
  await using pair = await startPair(OK);
  const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  const response = await exchange(
    pair.server,
    post(`${upgrade}Content-Length: 1\r\n`, "a") + post(""),
  );
  match(response, /^HTTP\/1\.1 200 OK\r\n[^{]*\r\nConnection: close\r\n\r\nok$/);
  deepStrictEqual(pair.upstream.requests.map((request) => /upgrade/i.test(request)), [false]);
});

Deno.test("a client that waits for 100 is told to go on, and the side isn't asked to", async () => {
  await using pair = await startPair(OK);
  using client = openRawClient(
    pair.server.port,
    post("Expect: 100-Continue\r\nContent-Length: 2\r\nConnection: close\r\n"),
  );
  await client.until((received) => received === "HTTP/1.1 100 Continue\r\n\r\n");
  client.write("ab");
  match(await client.ended, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  strictEqual(/expect/i.test(pair.upstream.requests[0] ?? ""), false);
  match(pair.upstream.requests[0] ?? "", /\r\n\r\nab$/);
});

Deno.test("a body in chunks is passed on in chunks, whole", async () => {
  await using pair = await startPair(OK);
  const response = await exchange(
    pair.server,
    post(
      "Transfer-Encoding: chunked\r\nConnection: close\r\n",
      "2;x=1\r\nvw\r\n3\r\nxyz\r\n0\r\nT: 1\r\n\r\n",
    ),
  );
  match(response, /^HTTP\/1\.1 200 /);
  const [, body = ""] = /\r\n\r\n([^]*)$/.exec(pair.upstream.requests[0] ?? "") ?? [];
  strictEqual(body.replaceAll(/[\da-f]+\r\n|\r\n/g, ""), "vwxyz");
  match(pair.upstream.requests[0] ?? "", /\r\nTransfer-Encoding: chunked\r\n/);
});

Deno.test("a long body is forwarded as it arrives, and so is the response", async () => {
  await using pair = await startPair((socket) => {
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
  });
  const length = 600_000;
  using client = openRawClient(
    pair.server.port,
    post(`Content-Length: ${length}\r\n`, "x".repeat(300_000)),
  );
  await eventually(
    "half of the body has come",
    () => pair.upstream.received().endsWith("x".repeat(300_000)),
  );
  client.write("y".repeat(300_000));
  await client.until((received) => received.endsWith("\r\n1\r\na\r\n"));
  strictEqual(pair.upstream.requests[0]?.endsWith("y".repeat(300_000)), true);
});

Deno.test("a body that comes slowly is passed on as far as it has come", async () => {
  await using pair = await startPair(OK, { limits: { headTimeoutMs: 50 } });
  using client = openRawClient(pair.server.port, post("Content-Length: 2\r\n", "a"));
  await eventually("the first byte has come", () => pair.upstream.received().endsWith("\r\n\r\na"));
  client.write("b");
  await client.until((received) => received.endsWith("ok"));
});

Deno.test("a body over the limit is 413, whether it tells its length or not, and the side gets no whole request", async () => {
  await using pair = await startPair(OK, { limits: { bodyBytes: 200_000, headTimeoutMs: 0 } });
  const long = "x".repeat(200_001);
  for (
    const request of [
      post("Content-Length: 200001\r\n", long),
      post("Content-Length: 999999999999\r\n"),
      post("Transfer-Encoding: chunked\r\n", `30d41\r\n${long}\r\n0\r\n\r\n`),
      post("Expect: 100-continue\r\nContent-Length: 200001\r\n"),
    ]
  ) {
    const response = await exchange(pair.server, request, (received) => received.endsWith("}"));
    match(response, /^HTTP\/1\.1 413 Content Too Large\r\n/);
    match(response, /\{"error":"The body is larger than 200000 bytes"\}$/);
  }
  deepStrictEqual(pair.upstream.requests, []);
  const max = post("Content-Length: 200000\r\n", "x".repeat(200_000));
  match(
    await exchange(pair.server, max, (received) => received.endsWith("ok")),
    /^HTTP\/1\.1 200 /,
  );
});

Deno.test("pipelined requests get their responses in their order", async () => {
  await using pair = await startPair((socket, request) => {
    const path = request.split(" ")[1] ?? "";
    setTimeout(() => socket.write(rawResponse("200 OK", path)), path === "/1" ? 50 : 0);
  });
  const ahead = [1, 2, 3].map((at) => `GET /${at} HTTP/1.1\r\nHost: plant\r\n\r\n`).join("");
  const response = await exchange(pair.server, ahead, (received) => received.endsWith("/3"));
  deepStrictEqual(response.match(/\/\d$/gm), ["/1", "/2", "/3"].slice(2));
  deepStrictEqual(response.match(/(?<=\r\n\r\n)\/\d/g), ["/1", "/2", "/3"]);
});

Deno.test("a line is logged for each request, with nothing personal in it", async () => {
  await using pair = await startPair(rawResponse("404 Not Found", "no"));
  await exchange(
    pair.server,
    "GET /api/traceability/SECRET?q=SECRET HTTP/1.1\r\nHost: SECRET\r\nAuthorization: SECRET\r\n" +
      "X-Request-Id: id-1\r\nConnection: close\r\n\r\n",
  );
  await exchange(pair.server, GET);
  const [first, second] = pair.server.lines;
  const { ms, ...line } = first ?? {};
  deepStrictEqual(JSON.parse(JSON.stringify(line)), {
    method: "GET",
    operation: "getTraceability",
    side: "legacy",
    status: 404,
    request_id: "id-1",
  });
  strictEqual(typeof ms, "number");
  strictEqual(second?.operation, "unknown");
  strictEqual(JSON.stringify(pair.server.lines).includes("SECRET"), false);
});
