import { networkOf } from "../client_address.ts";
import type { RequestState } from "./operation.ts";

/**
 * On whose account a request goes, for what each may have: the id of the token's account; without a
 * token, which only `AUTH_MODE=legacy` lets in, the client's address or the /64 of an IPv6 one.
 */
export function accountOf({ caller, clientAddress }: RequestState): string {
  return caller?.sub ?? networkOf(clientAddress);
}
