import { MAY_WRITE_FOR_OTHERS } from "../auth/access.ts";
import type { Claims } from "../auth/claims.ts";
import type { AuthMode } from "../auth/guard.ts";
import { ApiError } from "../errors.ts";
import type { RequestState } from "../http/operation.ts";

/**
 * The `operator_id` to store. `AUTH_MODE=legacy` stores what was sent, as the old server did, and
 * records when `required` would refuse it.
 *
 * @throws {ApiError} 403 in `AUTH_MODE=required` for another account's id, unless the role may
 * write it
 */
export function operatorOfWrite(
  mode: AuthMode,
  state: RequestState,
  sent: string | null | undefined,
): string | null | undefined {
  const { caller } = state;
  const operator = caller && operatorOf(caller, sent);
  if (mode === "legacy") {
    if (caller !== undefined && operator === undefined) state.wouldRefuse ??= "operator";
    return sent;
  }
  if (operator === undefined) {
    throw new ApiError("operator", "operator_id must be your own account's id");
  }
  return operator;
}

/** The id to store; undefined when the caller may not write under the id that was sent. */
function operatorOf(caller: Claims, sent: string | null | undefined): string | undefined {
  // PostgreSQL compares UUIDs without regard to case.
  if (sent?.toLowerCase() === caller.sub.toLowerCase()) return caller.sub;
  if (sent === null || sent === undefined) return caller.sub;
  return caller.role !== null && MAY_WRITE_FOR_OTHERS.includes(caller.role) ? sent : undefined;
}
