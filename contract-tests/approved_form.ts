import { z } from "zod";
import { differences, type Known } from "./comparison.ts";
import type { Answer } from "./exchange.ts";
import type { RecordedAnswer } from "./recordings.ts";

// The body of every error: design decision, so nothing else may stand in it.
const ErrorBody = z.strictObject({
  error: z.string().min(1),
  details: z.array(z.strictObject({ path: z.string(), message: z.string().min(1) })).min(1)
    .optional(),
});

// Words that only the inside of a server has.
const INSIDE =
  /syntax error|violates|duplicate key|relation "|column "|constraint|invalid (?:input|byte)|sqlstate|\bat .*\.m?[jt]s|node_modules|postgres|insert into|<pre>/i;

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

function errorFaults({ status, headers, body }: Answer): string[] {
  const faults: string[] = [];
  if (status === 405 && !headers.allow) faults.push("405 without Allow");
  if (headers["content-type"] !== "application/json; charset=utf-8") {
    faults.push(`an error with content-type ${headers["content-type"] ?? "(none)"}`);
  }
  if (!ErrorBody.safeParse(parseJson(body)).success) {
    faults.push(`no {"error": text}: ${body.slice(0, 120)}`);
  }
  // In JSON text the quotation marks of a name are escaped.
  if (INSIDE.test(body.replaceAll("\\", ""))) {
    faults.push(`tells of the inside: ${body.slice(0, 160)}`);
  }
  return faults;
}

const TOKEN = /"token":"([^"]*)"\}$/;

function withoutToken<A extends { body: string }>(answer: A): A {
  return { ...answer, body: answer.body.replace(TOKEN, '"token":"…"}') };
}

function tokenFaults(body: string): string[] {
  const [header, payload, signature, ...more] = TOKEN.exec(body)?.[1]?.split(".") ?? [];
  const algorithm = z.looseObject({ alg: z.string().regex(/^(ES|RS|PS)\d+$|^EdDSA$|^Ed25519$/) });
  const signed = more.length === 0 && /^[\w-]{20,}$/.test(signature ?? "") &&
    algorithm.safeParse(parseJson(decodeBase64Url(header))).success &&
    z.looseObject({ sub: z.string() }).safeParse(parseJson(decodeBase64Url(payload))).success;
  return signed ? [] : ["the token is no signed JWT"];
}

function decodeBase64Url(text = ""): string {
  return /^[\w-]+$/.test(text) ? Buffer.from(text, "base64url").toString("utf8") : "";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
