import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { parse } from "yaml";
import { z } from "zod";
import { rawRequest, sendRaw } from "../testing/raw_http.ts";
import { startRefusals } from "../testing/refusals.ts";

/* Faults of a request before its body: method, path, query, headers, framing. */

const { api, refuse, refuseUnseen } = await startRefusals();
const port = Number(new URL(api.url).port);

const { paths } = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })
  .parse(parse(await Deno.readTextFile(new URL("../openapi.yaml", import.meta.url))));
const PATHS = Object.keys(paths).map((path) => path.replace(/\{\w+\}/, "MIX-BATCH-88"));
const POSTS = Object.entries(paths).flatMap(([path, item]) => "post" in item ? [path] : []);

Deno.test("a method that a path doesn't have is 405 on every path of the contract", async () => {
  ok(PATHS.length > 12);
  for (const path of PATHS) {
    for (const method of ["TRACE", "BREW", "DELETE", "PATCH", "get", "X".repeat(2_000)]) {
      const { head } = await refuse(rawRequest(`${method} ${path}`), [405]);
      ok(/^allow: [A-Z, ]+$/im.test(head), head);
    }
  }
});

type Case = [what: string, line: string, status: number];

const LINES: Case[] = [
  ...PATHS.flatMap((path): Case[] => [
    [`%zz behind ${path}`, `GET ${path}/x/%zz`, 404],
    [`%00 behind ${path}`, `GET ${path}/x/%00`, 404],
    [`.. behind ${path}`, `GET ${path}/../../config.ts`, 404],
    [`two slashes before ${path}`, `GET /${path}`, 404],
  ]),
  ...["traces", "audits"].flatMap((name): Case[] => [
    [`%00 in the id of one of the ${name}`, `GET /api/${name}/%00`, 422],
    [`%2F in the id of one of the ${name}`, `GET /api/${name}/..%2Flots`, 422],
    [`%zz in the id of one of the ${name}`, `GET /api/${name}/%zz`, 400],
    [`.. for the id of one of the ${name}`, `GET /api/${name}/..`, 422],
    [`a broken UUID for the id of one of the ${name}`, `GET /api/${name}/3`, 422],
    [
      `a UUID in braces for one of the ${name}`,
      `GET /api/${name}/%7B99999999-9999-4999-8999-999999999999%7D`,
      422,
    ],
    [
      `one of the ${name} that there isn't`,
      `GET /api/${name}/99999999-9999-4999-8999-999999999999`,
      404,
    ],
  ]),
  ["%00 in a code", "GET /api/traceability/A%00B", 422],
  ["%2F in a code", "GET /api/traceability/..%2F..%2Fetc%2Fpasswd", 404],
  ["%zz in a code", "GET /api/traceability/%zz", 400],
  ["bad UTF-8 in a code", "GET /api/traceability/%ff", 400],
  ["half a surrogate pair in a code", "GET /api/traceability/%ED%A0%80", 400],
  [".. for a code", "GET /api/traceability/..", 404],
  ["%00 behind a POST's path", "POST /api/lots%00", 404],
  ["an escaped letter in a path", "POST /api/%6Cots", 404],
  ["a backslash in a path", "GET /api\\health", 404],
  ["SQL in a code", "GET /api/traceability/'%20or%20true%20--", 404],
  ["a path of 60,000 letters", `GET /api/traceability/${"x".repeat(60_000)}`, 404],
  ["CONNECT", "CONNECT plant:80", 404],
  ...["0", "101", "1.5", "-1", "x", "", "NaN", "1e400", "9007199254740993", "%zz", "%00"].map(
    (limit): Case => [`a limit of ${limit}`, `GET /api/audits?limit=${limit}`, 422],
  ),
  ["a parameter twice", "GET /api/audits?limit=1&limit=2", 422],
  ["a cursor that is none", "GET /api/audits?cursor=x", 422],
  ["NUL for a cursor", "GET /api/audits?cursor=%00", 422],
];

for (const [what, line, status] of LINES) {
  Deno.test(`${what} is ${status}`, async () => {
    await refuse(rawRequest(line), [status]);
  });
}

Deno.test("an invalid host is 400, and doesn't lead to another path", async () => {
  for (const host of ["plant/api/health?", "plant/livez#", "plant\\livez", "x@plant", "a b"]) {
    const line = "GET /nothing HTTP/1.1";
    await refuse(`${line}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, [400]);
  }
});

Deno.test("a host that is invalid in a URL doesn't affect the query", async () => {
  for (const host of ["a%zz", "%", "a..b", "1.2.3.4.5"]) {
    await refuse(`GET /api/audits?limit=0 HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, [
      422,
    ]);
  }
});

Deno.test("no host is 400", async () => {
  await refuse("GET /api/health HTTP/1.1\r\nConnection: close\r\n\r\n", [400]);
});

/** A POST with explicit framing. */
const framed = (path: string, headers: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: plant\r\nContent-Type: application/json\r\n` +
  `Connection: close\r\n${headers}\r\n${body}`;
const CHUNKS = "2\r\n{}\r\n0\r\n\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";

const FRAMES: [what: string, headers: string, body: string, statuses: number[]][] = [
  ["two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n", "{}x", [400]],
  ["two lengths in one line", "Content-Length: 2, 2\r\n", "{}", [400]],
  ["a length and chunks", `Content-Length: 2\r\n${CHUNKED}`, CHUNKS, [400]],
  ["chunks and a length", `${CHUNKED}Content-Length: 2\r\n`, CHUNKS, [400]],
  ["a length that is no number", "Content-Length: two\r\n", "{}", [400]],
  ["a length with a sign", "Content-Length: +2\r\n", "{}", [400]],
  ["a negative length", "Content-Length: -2\r\n", "{}", [400]],
  ["a length of 23 digits", `Content-Length: ${"9".repeat(23)}\r\n`, "{}", [400]],
  ["chunks twice", CHUNKED + CHUNKED, CHUNKS, [400]],
  ["a coding that isn't known", "Transfer-Encoding: xchunked\r\n", CHUNKS, [400]],
  ["chunks that aren't last", "Transfer-Encoding: chunked, identity\r\n", CHUNKS, [400]],
  ["a chunk without a size", CHUNKED, "zz\r\n{}\r\n0\r\n\r\n", [0, 400]],
  ["a chunk of 17 digits", CHUNKED, `${"f".repeat(17)}\r\n{}\r\n0\r\n\r\n`, [0, 400]],
];

for (const protocol of ["h2c", "websocket"]) {
  const headers = `Connection: Upgrade\r\nUpgrade: ${protocol}\r\nContent-Length: 2\r\n`;
  FRAMES.push([`a body with a request for ${protocol}`, headers, "{}", [400]]);
}

for (const [what, headers, body, statuses] of FRAMES) {
  Deno.test(`${what} is refused, on every path that takes a POST`, async () => {
    for (const path of POSTS) await refuseUnseen(framed(path, headers, body), statuses);
  });
}

Deno.test("the same length twice is 400, on every path that takes a POST", async () => {
  for (const path of POSTS) {
    await refuse(framed(path, "Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), [400]);
  }
});

const headers = (lines: string) =>
  `GET /api/health HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n${lines}\r\n`;

// The server closes the connection of a client that keeps sending, which may overtake the response.
const HEADS: [what: string, bytes: string, statuses: number[]][] = [
  ["a URL of 100,000 letters", rawLine(`GET /${"x".repeat(100_000)}`), [0, 400, 414]],
  ["a header of a megabyte", headers(`X: ${"x".repeat(1_000_000)}\r\n`), [0, 400, 431]],
  ["a header's name of 70,000 letters", headers(`${"x".repeat(70_000)}: 1\r\n`), [0, 400, 431]],
  ["5,000 headers", headers("X: 1\r\n".repeat(5_000)), [0, 400, 431]],
  ["a header on two lines", headers("X: a\r\n b\r\n"), [400]],
  ["a space behind a header's name", headers("X : a\r\n"), [400]],
  ["NUL in a header", headers("X: a\0b\r\n"), [400]],
  ["a header without a colon", headers("hello\r\n"), [400]],
  ["two hosts", headers("Host: other\r\n"), [400]],
  ["NUL in a path", rawLine("GET /api/health\0"), [400]],
  ["a space in a path", rawLine("GET /api/he alth"), [400]],
  ["a path without a slash", rawLine("GET api/health"), [400]],
  ["a method that is none", rawLine("G@T /api/health"), [400]],
  ["HTTP of another version", "GET /api/health HTTP/9.9\r\nHost: plant\r\n\r\n", [400]],
  ["no HTTP at all", "hello\r\n\r\n", [400]],
  ["the beginning of TLS", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", [400]],
];

function rawLine(line: string): string {
  return `${line} HTTP/1.1\r\nHost: plant\r\nConnection: close\r\n\r\n`;
}

for (const [what, bytes, statuses] of HEADS) {
  Deno.test(`${what} is refused by the HTTP server`, async () => {
    await refuseUnseen(bytes, statuses);
  });
}

Deno.test("the body of a refused request is not parsed as the next request", async () => {
  const smuggled = "GET /livez HTTP/1.1\r\nHost: plant\r\n\r\n";
  const type = "Content-Type: text/x\r\n";
  const { status, body } = await sendRaw(port, rawRequest("POST /api/lots", type, smuggled));
  strictEqual(status, 415);
  ok(!body.includes("live"), body);
});

Deno.test("after all that the API is ready", async () => {
  deepStrictEqual((await api.get("/readyz")).status, 200);
});
