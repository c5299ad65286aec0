import { Buffer } from "node:buffer";
import { deepStrictEqual, ok } from "node:assert/strict";
import fresh from "fresh";
import { bearerToken } from "../auth/guard.ts";
import { retryAfterOf } from "../client/errors.ts";
import { readTraceLines } from "../client/lines.ts";
import { createClientReader, normalizedAddress } from "../client_address.ts";
import { isDryRunProof } from "../contract/dry_run.ts";
import { BrokenAnswerError } from "../cutover/exchange/response_head.ts";
import { AnswerParser } from "../cutover/upstream/response_parser.ts";
import { bucketOf } from "../cutover/routes/canary.ts";
import { compare } from "../cutover/compare/compare.ts";
import { parseJsonText } from "../cutover/exchange/lossless_json.ts";
import { keptDifference } from "../cutover/evidence/stored_mismatch.ts";
import { passedToClient } from "../cutover/exchange/hop_by_hop.ts";
import { findOperation } from "../cutover/exchange/match_operation.ts";
import { plainText } from "../cutover/exchange/decoded_body.ts";
import { createRedactor } from "../cutover/redact/redact.ts";
import { readRequestHead } from "../cutover/proxy/request_head.ts";
import { readBody } from "../http/body.ts";
import { isTooDeep } from "../contract/json_depth.ts";
import { unstorable } from "../http/json.ts";
import { pathnameOf, PathTable, queryOf } from "../http/paths.ts";
import { checkHead } from "../http/request_head.ts";
import { describeError } from "../log.ts";
import { isErrorPage, withoutFrames } from "../cutover/compare/error_page.ts";
import { errorFaults } from "../cutover/compare/error_form.ts";
import { NewLot } from "../routes/create_lot.ts";
import { startApi } from "../testing/api.ts";
import { answerOf, captured, pairOf } from "../cutover/testing/captured.ts";
import { startTestFront } from "../cutover/testing/front.ts";
import { growth, LINEAR, TIMES } from "../testing/growth.ts";
import { sendRaw } from "../testing/raw_http.ts";
import { rawAnswer, startRawUpstream } from "../testing/raw_upstream.ts";

/* What reads bytes of a client or of an upstream is fed the worst of it, 64 kB and a 32nd of that. */

const BYTES = 65_536;

const rows = (row: string, length: number, start = "", end = "") =>
  start + row.repeat(Math.max(0, Math.floor((length - start.length - end.length) / row.length))) +
  end;

/** A reader, and what is bad for it: rows of something between a start and an end. */
interface Worst {
  readonly name: string;
  readonly run: (text: string) => unknown;
  readonly inputs: readonly (readonly [row: string, start?: string, end?: string])[];
}

const readClient = createClientReader(["127.0.0.1", "10.0.0.0/8"]);
const from = (forwarded: string) =>
  readClient({ headers: new Headers({ "x-forwarded-for": forwarded }) }, "127.0.0.1");
const paths = new PathTable<string>();
paths.add("GET", "/api/traceability/:lotCode", "trace");
const peer = { address: "127.0.0.1", isTrusted: true };
const readHead = (rawHeaders: string[], url = "/") =>
  readRequestHead({ rawHeaders, httpVersion: "1.1", url }, peer);
const headOf = (name: string) => (value: string) => readHead(["Host", "x", name, value]);
const redactor = createRedactor("a secret of at least thirty-two characters");
const post = (body: string) => captured("POST", "/api/lots", body);
const different = (was: string, is: string) =>
  compare(
    pairOf("getTraceability", captured("GET", "/"), answerOf(200, was), answerOf(200, is)),
    [],
  );
const parsed = (text: string) => JSON.parse(text);

/** An upstream's response, letter by letter. */
function parse(text: string): void {
  const ignore = () => {};
  const parser = new AnswerParser("GET", {
    interim: ignore,
    head: ({ headers }) => passedToClient(headers, "id"),
    data: ignore,
    end: ignore,
  });
  const bytes = Buffer.from(text, "latin1");
  try {
    for (let at = 0; at < bytes.length; at++) parser.push(bytes.subarray(at, at + 1));
  } catch (error) {
    // More than its bound.
    if (!(error instanceof BrokenAnswerError)) throw error;
  }
}
const HEAD = "HTTP/1.1 200 OK\r\n";

async function readLines(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  const body = ReadableStream.from((function* () {
    for (let at = 0; at < bytes.length; at += 64) yield bytes.subarray(at, at + 64);
  })());
  try {
    for await (const _ of readTraceLines(body, { timeoutMs: 60_000 }));
  } catch {
    // No line of a trace.
  }
}

const mediaType = (type: string) =>
  readBody(
    new Request("http://x", { method: "POST", body: "{}", headers: { "content-type": type } }),
    { bytes: 100_000, deadlineMs: 60_000 },
  ).catch(() => {});

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
  {
    name: "the token of Authorization",
    run: bearerToken,
    inputs: [[" ", "Bearer a", "b"], [" ", "Bearer "], ["a ", "Bearer "], [" ", "Bearer", "b"]],
  },
  {
    name: "the address of a client",
    run: from,
    inputs: [[","], [" ", "10.0.0.1,", "x"], ["10.0.0.1,"], ["]", "["], ["1:", "["], ["1.", "1"]],
  },
  { name: "an address", run: normalizedAddress, inputs: [["1:"], ["0:", "::"], ["%"], ["f"]] },
  {
    name: "the type of a body",
    run: mediaType,
    inputs: [
      [" ", "application/json", "x"],
      ["\\", 'application/json; a="'],
      [";a", "application/json"],
      ['\\";a="', "application/json"],
      ["; ", "application/json"],
    ],
  },
  {
    name: "a host",
    run: (host) => {
      try {
        checkHead(new Headers({ host }));
      } catch {
        // Refused.
      }
    },
    inputs: [["a"], [":1"], ["1", "x:", "x"], [":", "[", "]"]],
  },
  {
    name: "an address of a request",
    run: (path) => [paths.find(pathnameOf(`http://x${path}`)), queryOf(`http://x${path}`)],
    inputs: [["/"], ["a", "/api/traceability/"], ["?"], ["#"], ["a/", "/api/traceability/"]],
  },
  {
    name: "a proof of a dry run",
    run: (proof) =>
      isDryRunProof("secret", { method: "POST", target: "/", bodyHash: "", proof }, 0),
    inputs: [["1", "t="], ["a", "t=1,sig="]],
  },
  {
    name: "conditions of a request",
    run: (text) => [
      fresh({ "if-none-match": text }, { etag: 'W/"a"' }),
      fresh({ "if-none-match": '"a"', "cache-control": text }, { etag: 'W/"a"' }),
    ],
    inputs: [[" ", ",", "x"], [","], ["no-cache"], [" ", "no-cache", "x"], ['"a" ']],
  },
  {
    name: "a JSON document",
    run: (text) => [isTooDeep(parsed(text)), unstorable(parsed(text))],
    inputs: [['{"a":1},', "[", "0]"], ["[],", "[", "0]"], ["a", '"', '"']],
  },
  {
    name: "a lot in a request",
    run: (text) => {
      NewLot.safeParse({ lot_code: text, weight_kg: text, created_at: text, metadata: text });
      NewLot.safeParse(
        Object.fromEntries([...text].map((c, at) => [`${c}${at}`, text.slice(0, 9)])),
      );
    },
    inputs: [["0"], ["\u{10000}"], ["0.", "+"], ["0", "2026-01-01T00:00:00."], ["[", "["]],
  },
  {
    name: "an error in the log",
    run: (text) => describeError(new Error(text)),
    inputs: [["\n"], ["\n    at "], [" ", "\n", "x"]],
  },
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
    run: parseJsonText,
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
    run: (text) => plainText({ headers: [["content-encoding", text]], body: Uint8Array.of(1) }),
    inputs: [[" ", "a", "b"], ["gzip,"], ["gzip, "], [",", "", "br"]],
  },
  {
    name: "a Vary and an ETag that are compared",
    run: (text) =>
      compare(
        pairOf(
          "getHealth",
          captured("GET", "/api/health"),
          answerOf(200, "{}", { vary: text, "content-encoding": text, etag: `W/"${text}"` }),
          answerOf(200, "{}"),
        ),
        [],
      ),
    inputs: [["a,"], [" ", "a", "b"], ["gzip,"], ["-gzip"]],
  },
  {
    name: "a request that is redacted",
    run: (text) => redactor.request(post(text)),
    inputs: TEXTS,
  },
  {
    name: "a text that is redacted",
    run: (text) => [
      redactor.text(text),
      redactor.text(JSON.stringify({ a: text })),
      redactor.request(captured("GET", `/${text}?${text}`, "", [["cookie", text], [text, text]])),
    ],
    inputs: TEXTS,
  },
  {
    name: "secrets that stand all over a body",
    run: (text) => {
      const secrets = Array.from({ length: 60 }, (_, at) => text.slice(0, text.length / 60) + at);
      return redactor.request(post(JSON.stringify({ token: secrets, a: text })));
    },
    inputs: [["a"], ["ab"], ["aaaab"]],
  },
  {
    name: "a difference that is stored",
    run: (place) =>
      keptDifference(
        {
          operation: "login",
          route: {
            operation: "login",
            mode: { name: "shadow" },
            epoch: 1,
            samplePercent: 100,
            latch: undefined,
          },
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
    run: (body) => errorFaults({ status: 404, headers: {}, body }),
    inputs: [["at "], ["at x.\n"], ["\\"], ["at .j"]],
  },
  { name: "lines of a trace at the client", run: readLines, inputs: [["a"], ["\n"], ["é"]] },
  {
    name: "Retry-After at the client",
    run: (value) => retryAfterOf(new Headers({ "retry-after": value }), 0),
    inputs: [["1"], [" ", "1", "x"], ["Mon, "]],
  },
];

for (const { name, run, inputs } of CASES) {
  Deno.test(`${name}: 32 times as much takes about 32 times as long, not 1,024 times`, async () => {
    const faults: string[] = [];
    for (const [row, start, end] of inputs) {
      const times = await growth(
        run,
        rows(row, BYTES / TIMES, start, end),
        rows(row, BYTES, start, end),
      );
      if (times > LINEAR) {
        faults.push(`${times.toFixed(0)} times as long for rows of ${JSON.stringify(row)}`);
      }
    }
    deepStrictEqual(faults, []);
  });
}

/** A header of 60 kB that was read in the square of its length, and one that never was. */
const HOSTILE = `Authorization: Bearer a${" ".repeat(60_000)}b\r\n`;
const HARMLESS = `Authorization: Bearer ${"a".repeat(60_002)}\r\n`;

/** How many times longer a request with the hostile header takes; the quickest of a few count. */
async function slowdown(port: number, path: string, [hostile, harmless] = [HOSTILE, HARMLESS]) {
  const took = async (header: string) => {
    const began = performance.now();
    await sendRaw(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}\r\n`);
    return performance.now() - began;
  };
  let [bad, good] = [Infinity, Infinity];
  for (let round = 0; round < 5; round++) {
    good = Math.min(good, await took(harmless));
    bad = Math.min(bad, await took(hostile));
  }
  return bad / good;
}

Deno.test("a header of 60,000 spaces takes the API as long as one of letters, on every kind of route", async () => {
  await using api = await startApi();
  const port = Number(new URL(api.url).port);
  for (
    const path of ["/api/health", "/api/traceability/A", "/api/audits", "/metrics", "/nowhere"]
  ) {
    const times = await slowdown(port, path);
    ok(times < 50, `${path}: ${times} times as long`);
  }
  deepStrictEqual((await api.get("/livez")).status, 200);
});

Deno.test("a header of spaces takes the gateway as long as one of letters, and 60,000 are 431", async () => {
  await using legacy = await startRawUpstream(rawAnswer("200 OK", "ok"));
  await using front = await startTestFront({ legacyUrl: legacy.url });
  const short = [HOSTILE.replace(/ {45000}/, ""), HARMLESS.replace(/a{45000}/, "")] as const;
  for (const path of ["/api/health", "/api/traceability/A", "/nowhere"]) {
    const times = await slowdown(front.port, path, [...short]);
    ok(times < 50, `${path}: ${times} times as long`);
  }
  const refused = await sendRaw(front.port, `GET / HTTP/1.1\r\nHost: x\r\n${HOSTILE}\r\n`);
  deepStrictEqual([refused.status, legacy.requests.length > 0], [431, true]);
});
