import type { IncomingMessage } from "node:http";
import { normalizedAddress } from "../../client_address.ts";
import { DRY_RUN_HEADER } from "../../contract/dry_run.ts";
import { firstContentType } from "../../contract/content_type.ts";
import { isHost } from "../../host.ts";
import { connectionOptions, HOP_BY_HOP, withoutFields } from "../exchange/hop_by_hop.ts";
import type { ErrorResponse } from "./client_response.ts";

/** Who is at the other end of a client's connection. */
export interface Peer {
  readonly address: string;
  /** A trusted proxy, whose `X-Forwarded-…` headers are used. */
  readonly isTrusted: boolean;
}

/** The other end of a connection; a mapped IPv4 address is written as IPv4. */
export function peerOf(remote: string, isTrusted: (address: string) => boolean): Peer {
  const address = normalizedAddress(remote);
  return address === undefined
    ? { address: remote, isTrusted: false }
    : { address, isTrusted: isTrusted(address) };
}

export type RequestHead = Exclude<ReturnType<typeof readRequestHead>, BadHead>;

/** Why a request isn't forwarded: the upstreams could parse it differently. */
export type BadHead = { readonly mistake: ErrorResponse };

/**
 * The header of requests from `deno task cutover probe`, which count for no client. A client that sends
 * it isn't counted either, and gains nothing by that.
 */
export const PROBE = "x-lotline-probe";
const REQUEST_ID = /^[\w.-]{1,64}$/;
/** Lotline's server accepts 128 with those added here, the old one 2,000; clients send about 20. */
const MAX_HEADERS = 100;
/**
 * Of the target and of the forwarded names and values. Node's server, and so the old one, accepts
 * 16,383; comparing adds some.
 */
const MAX_FORWARDED_BYTES = 16_000;
/** As in Node's server. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;
const NAMES_HOST = /^https?:\/\/([^/?#]*)/i;

/**
 * Of these Node's server, and so the old one, uses the first line; Lotline's joins the lines. Of all
 * other headers both join the lines.
 */
const FIRST_LINE_COUNTS: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-type",
  "etag",
  "expires",
  "from",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "referer",
  "retry-after",
  "server",
  "user-agent",
]);

function bad(sentence: string, status: ErrorResponse[0] = 400): BadHead {
  return { mistake: [status, sentence] };
}

/** Servers parse the host of an absolute target differently unless it is plain. */
function targetMistake(target: string): BadHead | undefined {
  if (target.startsWith("/")) return undefined;
  const host = NAMES_HOST.exec(target)?.[1];
  if (host === undefined) return undefined;
  const isPlain = host !== "" && !host.startsWith(":") && isHost(host) && !target.includes("\\");
  return isPlain ? undefined : bad("The target names no host");
}

/**
 * Selects the headers to forward and adds those about the client. `Host` stays the client's, so that
 * links that an upstream builds from it don't change.
 */
export function readRequestHead(
  { rawHeaders: raw, httpVersion: version, url = "/" }: Pick<
    IncomingMessage,
    "rawHeaders" | "httpVersion" | "url"
  >,
  peer: Peer,
) {
  if (version !== "1.1" && version !== "1.0") return bad("The version isn't HTTP/1.1", 505);
  if (raw.length > 2 * MAX_HEADERS) return bad(`There are over ${MAX_HEADERS} headers`, 431);
  const badTarget = targetMistake(url);
  if (badTarget !== undefined) return badTarget;
  const lines: string[] = [];
  let seen: Set<string> | undefined;
  let expect: string | undefined;
  let options: Set<string> | undefined;
  let host: string | undefined;
  let clientId: string | undefined;
  let authorization: string | undefined;
  let forwardedFor: string | undefined;
  let proto: string | undefined;
  let forwardedHost: string | undefined;
  let isProbe = false;
  let requestsUpgrade = false;
  let isChunked = false;
  let length: number | undefined;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    const lower = name.toLowerCase();
    switch (lower) {
      case "host":
        if (host !== undefined) return bad("The request names two hosts");
        if (!isHost(value)) return bad("The Host header is not a host");
        host = value;
        break;
      case "content-length":
        length = Number(value);
        break;
      case "transfer-encoding":
        // Servers disagree on every other value.
        if (value.toLowerCase() !== "chunked") return bad("The only transfer encoding is chunked");
        isChunked = true;
        continue;
      case "connection":
        options = connectionOptions(value, options);
        continue;
      case "expect":
        // The gateway responds to it: of two requests to an upstream, as with a dry run, one would have it.
        expect = joined(expect, value);
        continue;
      case "content-type":
        // Lotline's server joins two lines by a comma, so that one line with a comma would be ambiguous.
        if (firstContentType(value) !== value) return bad("The Content-Type names two types");
        break;
      case "authorization":
        authorization ??= value;
        break;
      case "x-request-id":
        clientId = clientId === undefined ? value : "";
        continue;
      case "x-forwarded-for":
        if (peer.isTrusted) forwardedFor = joined(forwardedFor, value);
        continue;
      case "x-forwarded-proto":
        if (peer.isTrusted) proto = joined(proto, value);
        continue;
      case "x-forwarded-host":
        if (peer.isTrusted) forwardedHost = joined(forwardedHost, value);
        continue;
      case "upgrade":
        requestsUpgrade = true;
        continue;
      case DRY_RUN_HEADER:
        // Only the gateway sends it: Lotline responds 403 to a client's, and the old server ignores it.
        continue;
      case PROBE:
        isProbe = true;
        continue;
      default:
        if (HOP_BY_HOP.has(lower)) continue;
    }
    if (FIRST_LINE_COUNTS.has(lower)) {
      if (seen?.has(lower)) continue;
      seen ??= new Set();
      seen.add(lower);
    }
    lines.push(name, value);
  }
  if (host === undefined && version !== "1.0") return bad("The request has no Host header");
  if (isChunked && version === "1.0") return bad("HTTP/1.0 knows no chunks");
  if (isChunked && length !== undefined) return bad("The request has two lengths");
  // HTTP/1.0 has no such header.
  if (version === "1.0") expect = undefined;
  if (expect !== undefined && !CONTINUE.test(expect)) {
    return bad("Nothing is expected but 100-continue", 417);
  }
  const requestId = clientId !== undefined && REQUEST_ID.test(clientId)
    ? clientId
    : crypto.randomUUID();
  const forwarded = options === undefined ? lines : withoutFields(lines, options);
  if (isChunked) forwarded.push("Transfer-Encoding", "chunked");
  forwarded.push("X-Forwarded-For", joined(forwardedFor, peer.address));
  forwarded.push("X-Forwarded-Proto", proto ?? "http");
  const requestedHost = forwardedHost ?? host;
  if (requestedHost !== undefined) forwarded.push("X-Forwarded-Host", requestedHost);
  forwarded.push("X-Request-Id", requestId);
  let bytes = url.length;
  for (const part of forwarded) bytes += part.length;
  if (bytes > MAX_FORWARDED_BYTES) return bad("The headers are too long", 431);
  return {
    /** The forwarded headers, names and values in turn, including those that the gateway adds. */
    lines: forwarded,
    /** There is no `Host`, as HTTP/1.0 allows. */
    needsHost: host === undefined,
    requestId,
    authorization,
    forwardedFor,
    /** The client waits for `100 Continue` before it sends its body. */
    awaitsContinue: expect !== undefined,
    isProbe,
    /** It requests another protocol, which the gateway ignores. */
    requestsUpgrade,
    isChunked,
    /** Of the body; undefined without `Content-Length`. */
    length,
  };
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}
