import { z } from "zod";
import { parseJson } from "../../json.ts";

// The body of every error: design decision, so nothing else may stand in it.
const ErrorBody = z.strictObject({
  error: z.string().min(1),
  details: z.array(z.strictObject({ path: z.string(), message: z.string().min(1) })).min(1)
    .optional(),
});

// Words that only the inside of a server has.
const INSIDE =
  /syntax error|violates|duplicate key|relation "|column "|constraint|invalid (?:input|byte)|sqlstate|node_modules|postgres|insert into|<pre>/gi;

/** Whether a line of a text is a frame of a stack. */
function showsFrame(text: string): boolean {
  return text.split(/[\n\r\u2028\u2029]/).some((line) => {
    const at = line.search(/\bat /i);
    return at !== -1 && /\.m?[jt]s/i.test(line.slice(at));
  });
}

/** The type that JSON has in every answer of both servers. */
export const JSON_TYPE = "application/json; charset=utf-8";

/** What {@link errorFaults} looks at. */
export interface ErrorResponse {
  readonly status: number;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** What the client sent, as text. A word that it sent itself tells it nothing of the inside. */
  readonly sent?: string;
}

/**
 * What an answer of Lotline's lacks of the form that every error has, a line each: the type of JSON,
 * `Allow` with a 405, and a body that is `{"error": text}` with nothing of the inside.
 */
export function errorFaults({ status, headers, body, sent = "" }: ErrorResponse): string[] {
  const faults = errorHeadFaults(status, headers);
  if (!ErrorBody.safeParse(parseJson(body)).success) {
    faults.push(`no {"error": text}: ${body.slice(0, 120)}`);
  }
  if (revealsInternals(body, sent)) {
    faults.push(`tells of the inside: ${body.slice(0, 160)}`);
  }
  return faults;
}

function revealsInternals(body: string, sent: string): boolean {
  // In JSON text the quotation marks of a name are escaped.
  const [plain, own] = [body, sent].map((text) => text.replaceAll("\\", ""));
  if (plain === undefined || own === undefined) return false;
  const known = own.toLowerCase();
  return plain.match(INSIDE)?.some((word) => !known.includes(word.toLowerCase())) === true ||
    (showsFrame(plain) && !showsFrame(own));
}

/** The same for an answer to HEAD, which has no body. */
export function errorHeadFaults(status: number, headers: ErrorResponse["headers"]): string[] {
  const faults: string[] = [];
  if (status === 405 && !headers.allow) faults.push("405 without Allow");
  if (headers["content-type"] !== JSON_TYPE) {
    faults.push(`an error with content-type ${headers["content-type"] ?? "(none)"}`);
  }
  return faults;
}
