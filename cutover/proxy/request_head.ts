import { normalizedAddress } from "../../client_address.ts";
import { firstContentType } from "../../contract/content_type.ts";
import { isHost } from "../../host.ts";
import { isHopByHop, namedByConnection, withoutNamed } from "../exchange/hop_by_hop.ts";
import type { ErrorResponseStatus } from "./error_response.ts";

/** Who is at the other end of a client's connection. */
export interface Peer {
  readonly address: string;
  /** A trusted proxy: what it says of its own client is believed. */
  readonly isTrusted: boolean;
}

/** Reads the address at the other end of a connection, an IPv4 one as such. */
export function peerOf(remote: string, isTrusted: (address: string) => boolean): Peer {
  const address = normalizedAddress(remote);
  return address === undefined
    ? { address: remote, isTrusted: false }
    : { address, isTrusted: isTrusted(address) };
}

/** What a request's headers say. */
export interface RequestHead {
  /** What is passed on, names and values in turn, with what the gateway adds. */
  readonly lines: readonly string[];
  /** No host was named, as HTTP/1.0 allows. */
  readonly needsHost: boolean;
  readonly requestId: string;
  readonly authorization: string | undefined;
  readonly forwardedFor: string | undefined;
  /** The client sends no body before it is told to go on. */
  readonly awaitsContinue: boolean;
  /** See {@link PROBE}. */
  readonly isProbe: boolean;
  /** It asks for another protocol, which it doesn't get. */
  readonly requestsUpgrade: boolean;
  readonly isChunked: boolean;
  /** Of the body; undefined when the client didn't say. */
  readonly length: number | undefined;
}

/** Why a request can't be passed on: the two sides could read it differently. */
export interface BadHead {
  readonly status: ErrorResponseStatus;
  readonly mistake: string;
}

/** What Node's parser makes of a request's head. */
export interface RawHead {
  readonly rawHeaders: readonly string[];
  readonly httpVersion: string;
  readonly url?: string;
}

/**
 * The header that marks a dry run. Only the gateway sends it: a client's would be answered by 403 on
 * one side and not be looked at on the other.
 */
const DRY_RUN = "x-lotline-dry-run";
/**
 * The header that marks what `deno task cutover probe` asks: it is no client's, and doesn't count as
 * one. Another client that sends it is not counted either, and gains nothing by that.
 */
export const PROBE = "x-lotline-probe";
const REQUEST_ID = /^[\w.-]{1,64}$/;
/** Lotline's server takes 128 with those that are added here, the old one 2,000; clients send some 20. */
const MAX_HEADERS = 100;
/**
 * Of the target and of the names and values that are passed on. A server of Node, as the old one is,
 * takes 16,383; a client that asks it to compare adds some.
 */
const MAX_PASSED_BYTES = 16_000;
/** What Node's server takes for `100-continue`. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;
const NAMES_HOST = /^https?:\/\/([^/?#]*)/i;

/**
 * What Node's server, and so the old one, keeps the first line of. Lotline's joins them. Of the others
 * both join all lines.
 */
const FIRST_COUNTS: ReadonlySet<string> = new Set([
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

function bad(mistake: string, status: ErrorResponseStatus = 400): BadHead {
  return { status, mistake };
}

/**
 * What is wrong with a target: one that names a host may be understood in as many ways as there are
 * servers unless it is quite plain. They agree on one that begins with a slash.
 */
function readTarget(target: string): BadHead | undefined {
  if (target.startsWith("/")) return undefined;
  const host = NAMES_HOST.exec(target)?.[1];
  if (host === undefined) return undefined;
  const isPlain = host !== "" && !host.startsWith(":") && isHost(host) && !target.includes("\\");
  return isPlain ? undefined : bad("The target names no host");
}

/**
 * Decides what of a request's headers is passed on, and adds who asks. `Host` stays the client's: both
 * sides see what they would see without a gateway, and nothing that they build from it changes.
 *
 * @param rawHeaders names and values in turn, as they came
 */
export function readRequestHead(
  { rawHeaders: raw, httpVersion: version, url = "/" }: RawHead,
  peer: Peer,
): RequestHead | BadHead {
  if (version !== "1.1" && version !== "1.0") return bad("The version isn't HTTP/1.1", 505);
  if (raw.length > 2 * MAX_HEADERS) return bad(`There are over ${MAX_HEADERS} headers`, 431);
  const badTarget = readTarget(url);
  if (badTarget !== undefined) return badTarget;
  const lines: string[] = [];
  let once: Set<string> | undefined;
  let expect: string | undefined;
  let named: Set<string> | undefined;
  let host: string | undefined;
  let givenId: string | undefined;
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
        // Whatever else stands there, one server takes for chunked and another doesn't.
        if (value.toLowerCase() !== "chunked") {
          return bad("The only transfer encoding is chunked");
        }
        isChunked = true;
        continue;
      case "connection":
        named = namedByConnection(value, named);
        continue;
      case "expect":
        // The gateway answers it: a side that is asked twice, as for a dry run, would see only one.
        expect = joined(expect, value);
        continue;
      case "content-type":
        // Lotline's server joins two lines by a comma: there this would be two types, here it is none.
        if (firstContentType(value) !== value) return bad("The Content-Type names two types");
        break;
      case "authorization":
        authorization ??= value;
        break;
      case "x-request-id":
        givenId = givenId === undefined ? value : "";
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
      case DRY_RUN:
        continue;
      case PROBE:
        isProbe = true;
        continue;
      default:
        if (isHopByHop(lower)) continue;
    }
    if (FIRST_COUNTS.has(lower)) {
      if (once?.has(lower)) continue;
      once ??= new Set();
      once.add(lower);
    }
    lines.push(name, value);
  }
  if (host === undefined && version !== "1.0") {
    return bad("The request has no Host header");
  }
  if (isChunked && version === "1.0") return bad("HTTP/1.0 knows no chunks");
  if (isChunked && length !== undefined) return bad("The request has two lengths");
  // In HTTP/1.0 there is none.
  if (version === "1.0") expect = undefined;
  if (expect !== undefined && !CONTINUE.test(expect)) {
    return bad("Nothing is expected but 100-continue", 417);
  }
  const requestId = givenId !== undefined && REQUEST_ID.test(givenId)
    ? givenId
    : crypto.randomUUID();
  const passed = named === undefined ? lines : withoutNamed(lines, named);
  if (isChunked) passed.push("Transfer-Encoding", "chunked");
  passed.push("X-Forwarded-For", joined(forwardedFor, peer.address));
  passed.push("X-Forwarded-Proto", proto ?? "http");
  const requestedHost = forwardedHost ?? host;
  if (requestedHost !== undefined) passed.push("X-Forwarded-Host", requestedHost);
  passed.push("X-Request-Id", requestId);
  let bytes = url.length;
  for (const part of passed) bytes += part.length;
  if (bytes > MAX_PASSED_BYTES) return bad("The headers are too long", 431);
  return {
    lines: passed,
    needsHost: host === undefined,
    requestId,
    authorization,
    forwardedFor,
    awaitsContinue: expect !== undefined,
    isProbe,
    requestsUpgrade,
    isChunked,
    length,
  };
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}
