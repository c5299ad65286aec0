import type { AuthMode } from "../auth/guard.ts";
import { operatorOf } from "../auth/operator.ts";
import { ApiError } from "../errors.ts";
import type { RequestState } from "../http/operation.ts";

/**
 * The `operator_id` to store with a write. `AUTH_MODE=legacy` stores what was sent, as the old
 * server did, and notes where `required` would have refused it.
 *
 * @throws {ApiError} 403 in `AUTH_MODE=required` for another's id, unless the role may write it
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
