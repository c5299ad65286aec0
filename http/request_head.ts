import { ApiError } from "../errors.ts";
import { isHost } from "../host.ts";

/**
 * Refuses a request whose head two servers could read differently, and everything behind it on its
 * connection.
 *
 * @throws {ApiError} 400 no `Host` or an invalid one; two lengths, even equal ones; a transfer
 * coding other than chunked
 */
export function checkHead(headers: Headers): void {
  const host = headers.get("host");
  if (host === null) throw refused("The request has no Host header");
  if (!isHost(host)) throw refused("The Host header is not a host");
  if (headers.get("content-length")?.includes(",")) {
    throw refused("The request has more than one Content-Length");
  }
  // Deno's server decodes chunks and ignores other codings.
  const coding = headers.get("transfer-encoding");
  if (coding !== null && coding.toLowerCase() !== "chunked") {
    throw refused("The only transfer encoding is chunked");
  }
}

/** The response to requests behind a refused one on its connection. */
export function refusedConnection(): ApiError {
  return refused("The request before it on this connection was refused");
}

function refused(sentence: string): ApiError {
  return new ApiError("invalid_request", sentence, { headers: { connection: "close" } });
}
