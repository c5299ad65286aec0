import type { ResponseHead } from "./response_head.ts";
import type { HeaderLines } from "./exchange.ts";

// RFC 9110 7.6.1, and what older proxies and clients take for such: they are about one connection.
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What no `Connection` can take away: without it a request means something else. */
const ALWAYS_PASSED: ReadonlySet<string> = new Set(["host", "content-length", "close"]);

/** Whether a header, its name in lower case, is about one connection and not passed on. */
export function isHopByHop(name: string): boolean {
  return HOP_BY_HOP.has(name);
}

/** The names that a `Connection` header lists, added to those of others; undefined: none so far. */
export function namedByConnection(
  value: string,
  before: Set<string> | undefined,
): Set<string> | undefined {
  let names = before;
  for (const part of value.split(",")) {
    const name = part.trim().toLowerCase();
    if (name === "" || HOP_BY_HOP.has(name) || ALWAYS_PASSED.has(name)) continue;
    names ??= new Set();
    names.add(name);
  }
  return names;
}

/** The lines, names and values in turn, without those that are named. */
export function withoutNamed(lines: readonly string[], named: ReadonlySet<string>): string[] {
  const rest: string[] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at] ?? "";
    if (!named.has(name.toLowerCase())) rest.push(name, lines[at + 1] ?? "");
  }
  return rest;
}

/**
 * What of an answer's headers the client gets, in their order and with their letters: all but those
 * about the connection. The request's id is added unless the side has set one.
 */
export function passedToClient(headers: readonly string[], requestId: string): string[] {
  const passed = withoutHopByHop(headers);
  const hasId = passed.some((name, at) => at % 2 === 0 && name.toLowerCase() === "x-request-id");
  if (!hasId) passed.push("X-Request-Id", requestId);
  return passed;
}

/** An answer before the answer, written anew: what the client gets of it is what was understood. */
export function interimBytes({ status, reason, headers }: ResponseHead): string {
  const passed = withoutHopByHop(headers);
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let at = 0; at < passed.length; at += 2) text += `${passed[at]}: ${passed[at + 1]}\r\n`;
  return `${text}\r\n`;
}

function withoutHopByHop(headers: readonly string[]): string[] {
  const lines: string[] = [];
  let named: Set<string> | undefined;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    const value = headers[at + 1] ?? "";
    const lower = name.toLowerCase();
    if (lower === "connection") named = namedByConnection(value, named);
    if (!HOP_BY_HOP.has(lower)) lines.push(name, value);
  }
  return named === undefined ? lines : withoutNamed(lines, named);
}

/** Names and values in turn, as lines. */
export function toHeaderLines(flat: readonly string[]): HeaderLines {
  const lines: [name: string, value: string][] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) lines.push([flat[at] ?? "", flat[at + 1] ?? ""]);
  return lines;
}
