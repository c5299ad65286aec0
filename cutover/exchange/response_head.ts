export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** In their order and case, names and values in turn. */
  readonly headers: readonly string[];
}

/** Bytes that are no HTTP response, or a response that ended too early. */
export class MalformedResponseError extends Error {
  override name = "MalformedResponseError";
}

/** As in Node's client. */
const MAX_HEADERS = 2_000;

// RFC 9112, 4, and RFC 9110, 5.1 and 5.5: visible characters, spaces, tabs and obs-text only. Some
// clients read other characters as the end of a line.
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
/** The name of a header, or a method (RFC 9110, 5.6.2). */
export const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Parses the head of a final or interim response.
 *
 * @param text all lines, without the empty one at the end
 * @throws {MalformedResponseError}
 */
export function readResponseHead(text: string): ResponseHead & { readonly minor: "0" | "1" } {
  const lines = text.split("\r\n");
  const [, minor, digits = "", reason = ""] = STATUS_LINE.exec(lines[0] ?? "") ?? [];
  const status = Number(digits);
  if (minor === undefined || status === 101) {
    throw new MalformedResponseError("the status line is malformed");
  }
  if (lines.length - 1 > MAX_HEADERS) throw new MalformedResponseError("too many headers");
  const headers: string[] = [];
  for (let at = 1; at < lines.length; at++) headers.push(...readHeaderLine(lines[at] ?? ""));
  return { status, reason, headers, minor: minor === "0" ? "0" : "1" };
}

/** Parses the line of a header or a trailer. @throws {MalformedResponseError} */
export function readHeaderLine(line: string): [name: string, value: string] {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0));
  const value = line.slice(colon + 1);
  if (!isHeaderLine(name, value)) throw new MalformedResponseError("a header is malformed");
  return [name, withoutSpaceAround(value)];
}

export function isHeaderLine(name: string, value: string): boolean {
  return TOKEN.test(name) && HEADER_VALUE.test(value);
}

/** Without spaces and tabs at both ends; `trim` would remove a no-break space as well. */
function withoutSpaceAround(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isSpace(value.charCodeAt(start))) start++;
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** The head of an HTTP/1.1 message as it is sent; `fields` are names and values in turn. */
export function headText(startLine: string, fields: readonly string[]): string {
  let text = `${startLine}\r\n`;
  for (let at = 0; at < fields.length; at += 2) text += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return `${text}\r\n`;
}
