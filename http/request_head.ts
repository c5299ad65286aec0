import { ApiError } from "../errors.ts";
import { isHost } from "../host.ts";

/**
 * Refuses a request whose head two servers could read in two ways.
 * @throws {ApiError} 400 no `Host`, or one that is no host; two lengths, even the same ones
 */
export function checkHead(headers: Headers): void {
  const host = headers.get("host");
  if (host === null) throw new ApiError("invalid_request", "The request has no Host header");
  if (!isHost(host)) throw new ApiError("invalid_request", "The Host header is not a host");
  if (headers.get("content-length")?.includes(",")) {
    throw new ApiError("invalid_request", "The request has more than one Content-Length");
  }
}
