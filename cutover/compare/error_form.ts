import { z } from "zod";
import { parseJson } from "../../json.ts";

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

export interface ErrorResponse {
  readonly status: number;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What the client sent, as text: its own words in a response reveal no internals. */
  readonly sent?: string;
}

/**
 * The mistakes in the form of Lotline's error response: its content type, `Allow` with a 405, and a
 * body `{"error": text}` without internals.
 */
export function errorFaults({ status, headers, body, sent = "" }: ErrorResponse): string[] {
  const faults = errorHeadFaults(status, headers);
  if (!ErrorBody.safeParse(parseJson(body)).success) {
    faults.push(`no {"error": text}: ${body.slice(0, 120)}`);
  }
  if (revealsInternals(body, sent)) {
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

/** The same for a response to HEAD, which has no body. */
export function errorHeadFaults(status: number, headers: ErrorResponse["headers"]): string[] {
  const faults: string[] = [];
  if (status === 405 && !headers.allow) faults.push("405 without Allow");
  if (headers["content-type"] !== JSON_TYPE) {
    faults.push(`an error with content-type ${headers["content-type"] ?? "(none)"}`);
  }
  return faults;
}
