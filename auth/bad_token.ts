import { ApiError } from "../errors.ts";
import type { TokenFault } from "../metrics.ts";

/** The challenge of RFC 6750, section 3. */
export const CHALLENGE = 'Bearer realm="lotline"';

/**
 * The 401 for every token fault. All faults share one sentence, since the difference would help
 * only a forger. Operators find the fault in log and metrics.
 */
export class BadTokenError extends ApiError {
  constructor(readonly fault: TokenFault) {
    super("bad_token", "The token is not valid, or not any more: log in again", {
      headers: { "www-authenticate": `${CHALLENGE}, error="invalid_token"` },
    });
  }
}
