import { MAY_WRITE_FOR_OTHERS } from "./access.ts";
import type { Claims } from "./claims.ts";

/**
 * Whose work a write is: the caller's own, whatever was sent or not, but for the roles that may
 * write in the name of others. Ids are compared as PostgreSQL does, whatever their letter case.
 *
 * @param sent the `operator_id` of the request
 * @returns the id to store, or nothing when the caller may not write in that name
 */
export function operatorOf(caller: Claims, sent: string | null | undefined): string | undefined {
  if (sent === null || sent === undefined) return caller.sub;
  if (sent.toLowerCase() === caller.sub.toLowerCase()) return caller.sub;
  return caller.role !== null && MAY_WRITE_FOR_OTHERS.includes(caller.role) ? sent : undefined;
}
