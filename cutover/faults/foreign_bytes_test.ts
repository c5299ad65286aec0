import { deepStrictEqual, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { MalformedResponseError } from "../exchange/response_head.ts";
import { ResponseParser } from "../upstream/response_parser.ts";
import { bucketOf } from "../routes/canary.ts";
import { compare } from "../compare/compare.ts";
import { parseLosslessJson } from "../exchange/lossless_json.ts";
import { storedMismatch } from "../evidence/stored_mismatch.ts";
import { headersForClient } from "../exchange/hop_by_hop.ts";
import { findOperation } from "../exchange/match_operation.ts";
import { decodedText } from "../exchange/decoded_body.ts";
import { createRedactor } from "../redact/redact.ts";
import { readRequestHead } from "../proxy/request_head.ts";
import { withoutFrames } from "../compare/comparable.ts";
import { isErrorPage } from "../compare/conditions.ts";
import { errorFaults } from "../compare/judge.ts";
import { captured, pairOf, responseOf } from "../testing/captured.ts";
import { routeOf } from "../testing/shadow_rig.ts";
import type { CapturedRequest } from "../exchange/exchange.ts";
import { startTestGatewayServer } from "../testing/gateway_server.ts";
import { sendRaw } from "../../testing/raw_http.ts";
import { rawResponse, startRawUpstream } from "../../testing/raw_upstream.ts";
import { HOSTILE, SAFE, slowdown, testsOfWorst, type Worst } from "../../testing/worst_input.ts";

/* Every reader of client or upstream bytes at the gateway gets its worst input. */

const peer = { address: "127.0.0.1", isTrusted: true };
const readHead = (rawHeaders: string[], url = "/") =>
  readRequestHead({ rawHeaders, httpVersion: "1.1", url }, peer);
const headOf = (name: string) => (value: string) => readHead(["Host", "x", name, value]);
const redactor = createRedactor("a secret of at least thirty-two characters");
const redact = (request: CapturedRequest) =>
  redactor.exchange("createLot", request, responseOf(201, ""));
const HEADERS = ["authorization", "if-none-match", "location", "origin", "retry-after", "vary"];
const post = (body: string) => captured("POST", "/api/lots", body);
const different = (was: string, is: string) =>
  compare(
    pairOf("getTraceability", captured("GET", "/"), responseOf(200, was), responseOf(200, is)),
    [],
  );
/** An upstream's response, byte by byte. */
function parse(text: string): void {
  const ignore = () => {};
  const parser = new ResponseParser("GET", {
    interim: ignore,
    head: ({ headers }) => headersForClient(headers, "id"),
    data: ignore,
    end: ignore,
  });
  const bytes = Buffer.from(text, "latin1");
  try {
    for (let at = 0; at < bytes.length; at++) parser.push(bytes.subarray(at, at + 1));
  } catch (error) {
    // More than its bound.
    if (!(error instanceof MalformedResponseError)) throw error;
  }
}
const HEAD = "HTTP/1.1 200 OK\r\n";

const TEXTS = [
  ["a"],
  [" "],
  ["@"],
  ['"@'],
  ["a@"],
  ["a@b."],
  ["a.a", "a@"],
  ["eyJ"],
  ["eyJaaaaa."],
  ["Bearer "],
  [" ", "Bearer"],
  ["password="],
  ["password: \\"],
  ['"', "password="],
  ["a_ "],
  ["a ", "password"],
  ["%25"],
  ["$2b$12$"],
  ["[", "["],
  ['{"a":'],
  ['{"password":"', '{"a":["'],
] as const;

const CASES: Worst[] = [
  ...["Connection", "Authorization", "X-Request-Id", "X-Forwarded-For", "Expect"].map((name) => ({
    name: `${name} at the gateway`,
    run: headOf(name),
    inputs: [[","], ["a,"], [" ", "a,", "b"], [" ", "Bearer", "x"]] as const,
  })),
  {
    name: "headers at the gateway",
    run: (text) => readHead(["Host", "x", ...text.split(" "), "a"]),
    inputs: [["X-Forwarded-For 1 "], ["Connection a "], ["a b "], ["X-Request-Id 1 "]],
  },
  {
    name: "a host at the gateway",
    run: (text) => readHead(["Host", text]),
    inputs: [["a"], [":"], ["1", "a:"], [":", "["], ["%", "", " "]],
  },
  {
    name: "a target that names a host at the gateway",
    run: (text) => readHead(["Host", "x"], text),
    inputs: [["a", "http://"], [":", "http://a"], ["http://"], ["/", "http://a"], [
      "\\",
      "http://a/",
    ]],
  },
  {
    name: "a client's bucket",
    run: (text) => bucketOf(text, "::1"),
    inputs: [[" ", "Bearer ", "x"], ["a.", "Bearer "], ["-", "Bearer a."]],
  },
  {
    name: "a target at the gateway",
    run: (text) => findOperation("GET", text),
    inputs: [["/"], ["a", "/api/traceability/"], ["http://"]],
  },
  {
    name: "a response, letter by letter",
    run: parse,
    inputs: [
      ["a", `${HEAD}X: `],
      ["X: a\r\n", HEAD, "Content-Length: 0\r\n\r\n"],
      ["Connection: a,b\r\n", HEAD, "Content-Length: 0\r\n\r\n"],
      [" ", `${HEAD}X: a`, "b\r\nContent-Length: 0\r\n\r\n"],
      ["1\r\na\r\n", `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, "0\r\n\r\n"],
      ["1;" + " ".repeat(1_000) + "\r\na\r\n", `${HEAD}Transfer-Encoding: chunked\r\n\r\n`],
      ["T: 1\r\n", `${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n`, "\r\n"],
      ["a", `${HEAD}\r\n`],
    ],
  },
  {
    name: "a JSON text at the gateway",
    run: parseLosslessJson,
    inputs: [["1,", "[", "1]"], ["[", "", ""], [" ", "[1", "]"], ["\\u0000", '"'], ["1"], ["1e"]],
  },
  {
    name: "two bodies that are compared",
    run: (text) => [different(text, "[]"), different(`{"parents":${text}}`, `{"parents":[1]}`)],
    inputs: [["1,", "[", "2]"], ['{"id":"a"},', "[", "2]"], ["a", '"', '"'], ['"a",', "[", "1]"]],
  },
  {
    name: "two lists that are compared without an order",
    run: (text) => different(`{"parents":[${text}1]}`, `{"parents":[2,${text}3]}`),
    inputs: [["1,"], ['{"id":"a"},'], ["{},"]],
  },
  {
    name: "two objects that are compared",
    run: (text) => {
      const keys = text.split("").map((letter, at) => `"${letter}${at}":1`);
      return different(`{${keys}}`, `{${keys.toReversed()}}`);
    },
    inputs: [["a"]],
  },
  {
    name: "a body as text",
    run: (text) => decodedText({ headers: [["content-encoding", text]], body: Uint8Array.of(1) }),
    inputs: [[" ", "a", "b"], ["gzip,"], ["gzip, "], [",", "", "br"]],
  },
  {
    name: "a Vary and an ETag that are compared",
    run: (text) =>
      compare(
        pairOf(
          "getHealth",
          captured("GET", "/api/health"),
          responseOf(200, "{}", { vary: text, "content-encoding": text, etag: `W/"${text}"` }),
          responseOf(200, "{}"),
        ),
        [],
      ),
    inputs: [["a,"], [" ", "a", "b"], ["gzip,"], ["-gzip"]],
  },
  {
    name: "a request that is redacted",
    run: (text) => redact(post(text)),
    inputs: TEXTS,
  },
  {
    name: "a head that is redacted",
    run: (text) => [
      redact(captured("GET", `/${text}?${text}`)),
      redact(captured(text, "/", "", HEADERS.map((name) => [name, text]))),
    ],
    inputs: TEXTS,
  },
  {
    name: "a message that is redacted",
    run: (text) =>
      [text, JSON.stringify({ error: text }), JSON.stringify({ details: { path: text } })]
        .map((body) => redactor.exchange("createLot", captured("GET", "/"), responseOf(400, body))),
    inputs: TEXTS,
  },
  {
    name: "a difference that is redacted",
    run: (text) =>
      redactor.finding({
        operation: "login",
        route: routeOf("login"),
        outcome: "different",
        approvals: [],
        differences: [`body${text}`, `body.${text}`, `body[${JSON.stringify(text)}]`, text].map((
          place,
        ) => ({ place, legacy: text, service: JSON.stringify(text) })),
      }),
    inputs: TEXTS,
  },
  {
    name: "a body of many values that is redacted",
    run: (text) => redact(post(`{${text}"lot_code":"a"}`)),
    inputs: [['"":1,'], ['"a":"b",'], ['"metadata":{"a":[1]},'], ['"weight_kg":0.0000001,']],
  },
  {
    name: "a difference that is stored",
    run: (place) =>
      storedMismatch(
        {
          operation: "login",
          route: routeOf("login"),
          outcome: "different",
          approvals: [],
          differences: [{ place, legacy: place, service: place }],
        },
        "",
        0,
      ),
    inputs: [["["], ["1", "["], [".1"], ["\0"]],
  },
  {
    name: "an error page",
    run: (text) => [isErrorPage(text), withoutFrames(text)],
    inputs: [
      ["<title>Error</title>", '<!DOCTYPE html><html lang="en">'],
      [" ", "<!DOCTYPE html>"],
      ["<br> &nbsp; &nbsp;at "],
      ["<pre>Error"],
      ["a", "<pre>"],
    ],
  },
  {
    name: "an error of Lotline's",
    run: (body) => errorFaults(captured("GET", "/"), responseOf(404, body)),
    inputs: [["at "], ["at x.\n"], ["\\"], ["at .j"]],
  },
];

testsOfWorst(CASES);

Deno.test("a header of spaces takes the gateway as long as one of letters, and 60,000 are 431", async () => {
  await using legacy = await startRawUpstream(rawResponse("200 OK", "ok"));
  await using gateway = await startTestGatewayServer({ legacyUrl: legacy.url });
  const short = [HOSTILE.replace(/ {45000}/, ""), SAFE.replace(/a{45000}/, "")] as const;
  for (const path of ["/api/health", "/api/traceability/A", "/nowhere"]) {
    const times = await slowdown(gateway.port, path, [...short]);
    ok(times < 50, `${path}: ${times} times as long`);
  }
  const refused = await sendRaw(gateway.port, `GET / HTTP/1.1\r\nHost: x\r\n${HOSTILE}\r\n`);
  deepStrictEqual([refused.status, legacy.requests.length > 0], [431, true]);
});
