import { strictEqual } from "node:assert/strict";
import { responseOf } from "../testing/captured.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { comparableResponse } from "./confirm.ts";

const failed = (words: string) => responseOf(500, JSON.stringify({ error: words }));

const CASES: [what: string, sent: Exchange, isResponse: boolean][] = [
  ["silence", { failure: "timeout", ms: 300 }, false],
  ["a success", responseOf(200, "{}"), true],
  ["a refusal", responseOf(404, "{}"), true],
  ["too many requests", responseOf(429, "{}"), false],
  ["a bad gateway", responseOf(502, "{}"), false],
  ["unavailable", responseOf(503, "{}"), false],
  ["a gateway's timeout", responseOf(504, "{}"), false],
  ["a failure", failed("syntax error at or near"), true],
  ["a failure of another form", responseOf(500, "<pre>"), true],
  ["a shutdown", failed("terminating connection due to administrator command"), false],
  ["a start", failed("the database system is starting up"), false],
  ["a lost connection", failed("Connection terminated unexpectedly"), false],
  ["no connection", failed("connect ECONNREFUSED 127.0.0.1:5432"), false],
  ["a value with such words", failed('invalid input: "the database system is"'), true],
];

for (const [what, requested, isResponse] of CASES) {
  Deno.test(`${what} ${isResponse ? "can be compared" : "is no response"}`, () => {
    strictEqual(comparableResponse(requested) !== undefined, isResponse);
  });
}
