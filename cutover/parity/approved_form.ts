import { errorFaults } from "../compare/error_form.ts";
import { subjectOfSignedToken } from "../exchange/signed_token.ts";
import { differences, type Known } from "./comparison.ts";
import type { Answer } from "./exchange.ts";
import type { RecordedAnswer } from "./recordings.ts";

/**
 * What is wrong with an answer that differs from the recorded one although its exchange is approved
 * to change, a line each; none when the change has the form that every approval means: a named
 * status; an error is `{"error": text}` with nothing of the inside; 405 has `Allow`; a success that
 * was a success is the same but for a signed token in the place of the constant one.
 */
export function approvedFormFaults(
  status: readonly number[],
  recorded: RecordedAnswer,
  actual: Answer,
  known: Known,
): string[] {
  if (!status.includes(actual.status)) {
    return [`status ${recorded.status} -> ${actual.status}, approved: ${status.join(" or ")}`];
  }
  const origin = "access-control-allow-origin";
  const [was, is] = [recorded.headers[origin], actual.headers[origin]];
  const faults = was === is ? [] : [`${origin}: ${was ?? "(none)"} -> ${is ?? "(none)"}`];
  if (actual.status >= 400) return [...faults, ...errorFaults(actual)];
  if (recorded.status >= 400) return faults;
  const other = differences(withoutToken(recorded), withoutToken(actual), known);
  const token = TOKEN.test(recorded.body) ? tokenFaults(actual.body) : [];
  return [...faults, ...other, ...token];
}

const TOKEN = /"token":"([^"]*)"\}$/;

function withoutToken<A extends { body: string }>(answer: A): A {
  return { ...answer, body: answer.body.replace(TOKEN, '"token":"…"}') };
}

function tokenFaults(body: string): string[] {
  const token = TOKEN.exec(body)?.[1] ?? "";
  return subjectOfSignedToken(token) === undefined ? ["the token is no signed JWT"] : [];
}
