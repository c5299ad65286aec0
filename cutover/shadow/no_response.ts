import { wordsOf } from "../compare/conditions.ts";
import type { CapturedResponse, Exchange } from "../exchange/exchange.ts";

/**
 * The answer, unless it is none that could be right or wrong: the side was silent, or said that it
 * can't answer now. That is counted as an error of the side, but it is no difference.
 */
export function withinDeadline(requested: Exchange): CapturedResponse | undefined {
  if ("failure" in requested || CANNOT_NOW.has(requested.status)) return undefined;
  return DATABASE_AWAY.test(wordsOf(requested)) ? undefined : requested;
}

// Too many requests, a bad gateway, unavailable, a gateway that waited in vain.
const CANNOT_NOW = new Set([429, 502, 503, 504]);

// What the old server says, with 500, when it has lost its database or can't reach it.
const DATABASE_AWAY = new RegExp([
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
