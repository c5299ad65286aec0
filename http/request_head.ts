import { LRUCache } from "lru-cache";
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

/**
 * Connections with a refused request whose framing or host two servers could read differently.
 * Deno's server sends `Connection: close` and still reads on. It would execute what the client, or
 * an attacker through it, sent behind that request.
 *
 * A connection is identified by the client's address and port, which another connection may have
 * later. A short time is enough: smuggled requests arrive at once.
 */
export class ClosingConnections {
  // The exact time is read, since a cached one needs a timer.
  readonly #refused = new LRUCache<string, true>({ max: 10_000, ttl: 5_000, ttlResolution: 0 });

  close(address: string, port: number): void {
    this.#refused.set(`${address} ${port}`, true);
  }

  isClosing(address: string, port: number | undefined): boolean {
    // The usual case, without building a key.
    return this.#refused.size > 0 && this.#refused.has(`${address} ${port}`);
  }
}

/** The response to requests behind a refused one on its connection. */
export function refusedConnection(): ApiError {
  return refused("The request before it on this connection was refused");
}

function refused(sentence: string): ApiError {
  return new ApiError("invalid_request", sentence, { headers: { connection: "close" } });
}
