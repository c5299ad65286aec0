import { ApiError } from "../errors.ts";
import type { TokenFault } from "../metrics.ts";

/** What a client is told to do about it: RFC 6750, section 3. */
export const CHALLENGE = 'Bearer realm="lotline"';

/**
 * The 401 for all faults of a token. The client is told one sentence: which fault it is helps nobody
 * but a forger. The operator finds it in the log and the metrics.
 */
export class BadTokenError extends ApiError {
  constructor(readonly fault: TokenFault) {
    super("bad_token", "The token is not valid, or not any more: log in again", {
      headers: { "www-authenticate": `${CHALLENGE}, error="invalid_token"` },
    });
  }
}
