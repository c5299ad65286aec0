import { z } from "zod";
import { parseJson } from "../../json.ts";
import { decodedText } from "../exchange/decoded_body.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { textSent } from "./conditions.ts";

const ErrorBody = z.strictObject({
  error: z.string().min(1),
  details: z.array(z.strictObject({ path: z.string(), message: z.string().min(1) })).min(1)
    .optional(),
});

// Words from the internals of a server.
const INTERNALS =
  /syntax error|violates|duplicate key|relation "|column "|constraint|invalid (?:input|byte)|sqlstate|node_modules|postgres|insert into|<pre>/gi;

function showsFrame(text: string): boolean {
  return text.split(/[\n\r\u2028\u2029]/).some((line) => {
    const at = line.search(/\bat /i);
    return at !== -1 && /\.m?[jt]s/i.test(line.slice(at));
  });
}

/** The content type of JSON in all responses of both servers. */
export const JSON_TYPE = "application/json; charset=utf-8";

/**
 * The mistakes in the form of Lotline's error response: its content type, `Allow` with a 405, and a
 * body `{"error": text}` without internals. The client's own words in it reveal none.
 */
export function errorFaults(request: CapturedRequest, response: CapturedResponse): string[] {
  const faults: string[] = [];
  const { status, headers } = response;
  if (status === 405 && !headerOf(headers, "allow")) faults.push("405 without Allow");
  const type = headerOf(headers, "content-type") ?? "(none)";
  if (type !== JSON_TYPE) faults.push(`an error with content-type ${type}`);
  // Its response has no body.
  if (request.method === "HEAD") return faults;
  const body = decodedText(response) ?? "";
  if (!ErrorBody.safeParse(parseJson(body)).success) {
    faults.push(`no {"error": text}: ${body.slice(0, 120)}`);
  }
  if (revealsInternals(body, textSent(request))) {
    faults.push(`reveals internals: ${body.slice(0, 160)}`);
  }
  return faults;
}

function revealsInternals(body: string, sent: string): boolean {
  // JSON escapes the quotation marks of a name.
  const [plain, own] = [body, sent].map((text) => text.replaceAll("\\", ""));
  if (plain === undefined || own === undefined) return false;
  const known = own.toLowerCase();
  return plain.match(INTERNALS)?.some((word) => !known.includes(word.toLowerCase())) === true ||
    (showsFrame(plain) && !showsFrame(own));
}
