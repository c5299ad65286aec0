import { headText, type ResponseHead } from "./response_head.ts";
import type { HeaderLines } from "./exchange.ts";

/**
 * The headers, in lower case, that apply to one connection and aren't forwarded: RFC 9110, 7.6.1, and
 * what older proxies and clients treat the same way.
 */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** No `Connection` header removes these: without them a request has another meaning. */
const ALWAYS_FORWARDED: ReadonlySet<string> = new Set(["host", "content-length", "close"]);

/** Adds the options that a `Connection` header lists; undefined: there are none so far. */
export function connectionOptions(
  value: string,
  before: Set<string> | undefined,
): Set<string> | undefined {
  let names = before;
  for (const part of value.split(",")) {
    const name = part.trim().toLowerCase();
    if (name === "" || HOP_BY_HOP.has(name) || ALWAYS_FORWARDED.has(name)) continue;
    names ??= new Set();
    names.add(name);
  }
  return names;
}

/** The fields, names and values in turn, without these names. */
export function withoutFields(lines: readonly string[], names: ReadonlySet<string>): string[] {
  const rest: string[] = [];
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at] ?? "";
    if (!names.has(name.toLowerCase())) rest.push(name, lines[at + 1] ?? "");
  }
  return rest;
}

/**
 * The headers that the client receives, in their order and case: all but hop-by-hop ones. The request's
 * id is added unless the upstream has set one.
 */
export function headersForClient(headers: readonly string[], requestId: string): string[] {
  const forwarded = withoutHopByHop(headers);
  const hasId = forwarded.some((name, at) => at % 2 === 0 && name.toLowerCase() === "x-request-id");
  if (!hasId) forwarded.push("X-Request-Id", requestId);
  return forwarded;
}

/** An interim response (1xx), written from its parsed head so that only parsed text is forwarded. */
export function interimText({ status, reason, headers }: ResponseHead): string {
  return headText(`HTTP/1.1 ${status} ${reason}`, withoutHopByHop(headers));
}

function withoutHopByHop(headers: readonly string[]): string[] {
  const lines: string[] = [];
  let options: Set<string> | undefined;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    const value = headers[at + 1] ?? "";
    const lower = name.toLowerCase();
    if (lower === "connection") options = connectionOptions(value, options);
    if (!HOP_BY_HOP.has(lower)) lines.push(name, value);
  }
  return options === undefined ? lines : withoutFields(lines, options);
}

/** Names and values in turn as pairs. */
export function toHeaderLines(flat: readonly string[]): HeaderLines {
  const lines: [name: string, value: string][] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) lines.push([flat[at] ?? "", flat[at + 1] ?? ""]);
  return lines;
}
