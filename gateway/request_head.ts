import { normalizedAddress } from "../client_address.ts";
import { isHopByHop, namedByConnection, withoutNamed } from "./passed_headers.ts";

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
  readonly asksForUpgrade: boolean;
  readonly isChunked: boolean;
  /** Of the body; undefined when the client didn't say. */
  readonly length: number | undefined;
}

/** Why a request can't be passed on: the two sides could read it differently. */
export interface BadHead {
  readonly mistake: string;
}

/**
 * The header that marks a dry run. Only the gateway sends it: a client's would be answered by 403 on
 * one side and not be looked at on the other.
 */
const DRY_RUN = "x-lotline-dry-run";
/**
 * The header that marks what `deno task cutover probe` asks: it is no client's, and doesn't count as
 * one. Whoever else sends it isn't counted either, and gains nothing by that.
 */
export const PROBE = "x-lotline-probe";
const REQUEST_ID = /^[\w.-]{1,64}$/;

/**
 * Decides what of a request's headers is passed on, and adds who asks. `Host` stays the client's: both
 * sides see what they would see without a gateway, and nothing that they build from it changes.
 *
 * @param raw names and values in turn, as they came
 */
export function readRequestHead(
  raw: readonly string[],
  version: string,
  peer: Peer,
): RequestHead | BadHead {
  const lines: string[] = [];
  let named: Set<string> | undefined;
  let host: string | undefined;
  let givenId: string | undefined;
  let authorization: string | undefined;
  let forwardedFor: string | undefined;
  let proto: string | undefined;
  let forwardedHost: string | undefined;
  let awaitsContinue = false;
  let isProbe = false;
  let asksForUpgrade = false;
  let isChunked = false;
  let length: number | undefined;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    const value = raw[at + 1] ?? "";
    const lower = name.toLowerCase();
    switch (lower) {
      case "host":
        if (host !== undefined) return { mistake: "The request names two hosts" };
        host = value;
        break;
      case "content-length":
        length = Number(value);
        break;
      case "transfer-encoding":
        // Whatever else stands there, one server takes for chunked and another doesn't.
        if (value.toLowerCase() !== "chunked") {
          return { mistake: "The only transfer encoding is chunked" };
        }
        isChunked = true;
        continue;
      case "connection":
        named = namedByConnection(value, named);
        continue;
      case "expect":
        // The gateway answers it; any other expectation is for the side to refuse.
        if (value.toLowerCase() !== "100-continue") break;
        awaitsContinue = version !== "1.0";
        continue;
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
        asksForUpgrade = true;
        continue;
      case DRY_RUN:
        continue;
      case PROBE:
        isProbe = true;
        continue;
      default:
        if (isHopByHop(lower)) continue;
    }
    lines.push(name, value);
  }
  if (host === undefined && version !== "1.0") return { mistake: "The request has no Host header" };
  if (isChunked && length !== undefined) return { mistake: "The request has two lengths" };
  const requestId = givenId !== undefined && REQUEST_ID.test(givenId)
    ? givenId
    : crypto.randomUUID();
  const passed = named === undefined ? lines : withoutNamed(lines, named);
  if (isChunked) passed.push("Transfer-Encoding", "chunked");
  passed.push("X-Forwarded-For", joined(forwardedFor, peer.address));
  passed.push("X-Forwarded-Proto", proto ?? "http");
  const askedHost = forwardedHost ?? host;
  if (askedHost !== undefined) passed.push("X-Forwarded-Host", askedHost);
  passed.push("X-Request-Id", requestId);
  return {
    lines: passed,
    needsHost: host === undefined,
    requestId,
    authorization,
    forwardedFor,
    awaitsContinue,
    isProbe,
    asksForUpgrade,
    isChunked,
    length,
  };
}

function joined(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`;
}

/**
 * A request's first line and headers as they are sent.
 *
 * @param host is added when it is given
 */
export function headText(
  method: string,
  target: string,
  lines: readonly string[],
  host: string | undefined,
): string {
  let head = `${method} ${target} HTTP/1.1\r\n`;
  if (host !== undefined) head += `Host: ${host}\r\n`;
  for (let at = 0; at < lines.length; at += 2) head += `${lines[at]}: ${lines[at + 1]}\r\n`;
  return `${head}\r\n`;
}
