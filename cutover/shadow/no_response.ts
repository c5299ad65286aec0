import { serverError } from "../compare/conditions.ts";
import type { CapturedResponse, Exchange } from "../exchange/exchange.ts";

/**
 * The response to compare; undefined when the upstream failed or is unavailable, which counts as its
 * error and not as a difference.
 */
export function comparableResponse(sent: Exchange): CapturedResponse | undefined {
  if ("failure" in sent || UNAVAILABLE.has(sent.status)) return undefined;
  return DATABASE_UNAVAILABLE.test(serverError(sent)) ? undefined : sent;
}

const UNAVAILABLE = new Set([429, 502, 503, 504]);

// The old server's messages, with 500, when it has no connection to its database.
const DATABASE_UNAVAILABLE = new RegExp([
  "^Connection terminated",
  "^terminating connection ",
  "^connect E[A-Z]+ ",
  "^read ECONNRESET",
  "^write EPIPE",
  "^the database system is ",
  "^sorry, too many clients already",
  "^remaining connection slots are reserved",
  "^timeout exceeded when trying to connect",
  "^canceling statement due to ",
  "^cannot execute .* in a read-only transaction",
].join("|"));
