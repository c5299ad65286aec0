import { deepStrictEqual, ok } from "node:assert/strict";
import fresh from "fresh";
import { bearerToken } from "../auth/guard.ts";
import { retryAfterOf } from "../client/errors.ts";
import { readTraceLines } from "../client/lines.ts";
import { createClientReader, normalizedAddress } from "../client_address.ts";
import { isDryRunProof } from "../contract/dry_run.ts";
import { readBody } from "../http/body.ts";
import { isTooDeep } from "../contract/json_depth.ts";
import { unstorable } from "../db/storable.ts";
import { pathnameOf, PathTable, queryOf } from "../http/paths.ts";
import { checkHead } from "../http/request_head.ts";
import { describeError } from "../log.ts";
import { LotInput } from "../routes/create_lot.ts";
import { startApi } from "../testing/api.ts";
import { slowdown, testsOfWorst, type Worst } from "../testing/worst_input.ts";

// Runs alone: it compares the reading times of two sizes.

/* Every reader of client or upstream bytes gets its worst input, 64 kB and a 32nd of that. */

const readClient = createClientReader(["127.0.0.1", "10.0.0.0/8"]);
const from = (forwarded: string) =>
  readClient({ headers: new Headers({ "x-forwarded-for": forwarded }) }, "127.0.0.1");
const paths = new PathTable<string>();
paths.add("GET", "/api/traceability/:lotCode", "trace");
const parsed = (text: string) => JSON.parse(text);

async function readLines(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  const body = ReadableStream.from((function* () {
    for (let at = 0; at < bytes.length; at += 64) yield bytes.subarray(at, at + 64);
  })());
  try {
    for await (const _ of readTraceLines(body, { baseUrl: "http://localhost", timeoutMs: 60_000 }));
  } catch {
    // No line of a trace.
  }
}

const mediaType = (type: string) =>
  readBody(
    new Request("http://x", { method: "POST", body: "{}", headers: { "content-type": type } }),
    { bytes: 100_000, deadlineMs: 60_000 },
  ).catch(() => {});

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
      LotInput.safeParse({ lot_code: text, weight_kg: text, created_at: text, metadata: text });
      LotInput.safeParse(
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
  { name: "lines of a trace at the client", run: readLines, inputs: [["a"], ["\n"], ["é"]] },
  {
    name: "Retry-After at the client",
    run: (value) => retryAfterOf(new Headers({ "retry-after": value }), 0),
    inputs: [["1"], [" ", "1", "x"], ["Mon, "]],
  },
];

testsOfWorst(CASES);

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
