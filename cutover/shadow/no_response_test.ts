import { strictEqual } from "node:assert/strict";
import { answerOf } from "../testing/captured.ts";
import type { Asked } from "../exchange/exchange.ts";
import { answerIn } from "./no_response.ts";

const failed = (words: string) => answerOf(500, JSON.stringify({ error: words }));

const CASES: [what: string, asked: Asked, isAnswer: boolean][] = [
  ["silence", { silence: "timeout", ms: 300 }, false],
  ["a success", answerOf(200, "{}"), true],
  ["a refusal", answerOf(404, "{}"), true],
  ["too many requests", answerOf(429, "{}"), false],
  ["a bad gateway", answerOf(502, "{}"), false],
  ["unavailable", answerOf(503, "{}"), false],
  ["a gateway's timeout", answerOf(504, "{}"), false],
  ["a failure", failed("syntax error at or near"), true],
  ["a failure of another form", answerOf(500, "<pre>"), true],
  ["a shutdown", failed("terminating connection due to administrator command"), false],
  ["a start", failed("the database system is starting up"), false],
  ["a lost connection", failed("Connection terminated unexpectedly"), false],
  ["no connection", failed("connect ECONNREFUSED 127.0.0.1:5432"), false],
  ["a value with such words", failed('invalid input: "the database system is"'), true],
];

for (const [what, asked, isAnswer] of CASES) {
  Deno.test(`${what} ${isAnswer ? "can be compared" : "is no answer"}`, () => {
    strictEqual(answerIn(asked) !== undefined, isAnswer);
  });
}
