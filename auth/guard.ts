import { timingSafeEqual } from "node:crypto";
import { decodeJwt } from "jose";
import { ApiError } from "../errors.ts";
import type { RefusalReason, TokenFault } from "../metrics.ts";
import { ACCESS, type Access, type OperationId, type Role } from "./access.ts";
import type { Revocations } from "./revocations.ts";
import { type Claims, ClaimsOfToken } from "./claims.ts";
import type { TokenVerifier } from "./tokens.ts";

/** The challenge of RFC 6750, section 3. */
const CHALLENGE = 'Bearer realm="lotline"';

/**
 * The 401 for every token fault. All faults share one sentence, since the difference would help
 * only a forger. Operators find the fault in log and metrics.
 */
export class BadTokenError extends ApiError {
  constructor(readonly fault: TokenFault, account?: string) {
    super("bad_token", "The token is not valid, or not any more: log in again", {
      account,
      headers: { "www-authenticate": `${CHALLENGE}, error="invalid_token"` },
    });
  }
}

/** Whether {@link ACCESS} is enforced, or only observed. */
export type AuthMode = "legacy" | "required";

export interface Admission {
  /** The claims of a valid token. */
  readonly caller?: Claims | undefined;
  /** The claims of a token that was valid until it was revoked. */
  readonly revoked?: Claims | undefined;
  readonly tokenFault?: TokenFault | undefined;
  /** In `AUTH_MODE=legacy`: why `required` would refuse the request. */
  readonly wouldRefuse?: RefusalReason;
}

/**
 * Admits a request to an operation or throws.
 *
 * @throws {ApiError} in `AUTH_MODE=required`: 401 without a valid token, 403 for a role without the
 * right, 503 when the token's revocation can't be checked
 */
export type Guard = (operation: OperationId, headers: Headers) => Promise<Admission> | Admission;

interface GuardDeps {
  readonly mode: AuthMode;
  readonly verify: TokenVerifier;
  readonly revocations: Revocations;
  /** A secret that scrapers send in place of a token to read the metrics. */
  readonly metricsToken?: string | undefined;
}

export function createGuard({ mode, verify, revocations, metricsToken }: GuardDeps): Guard {
  const holderOf = async (token: string): Promise<Admission> => {
    const claims = await verify(token);
    if (typeof claims === "string") return { tokenFault: claims };
    let state = revocations.stateOf(claims);
    if (state === "unknown") {
      // `legacy` admits everyone, and must not wait for an unavailable database.
      const { check, checkQuickly } = revocations;
      state = await (mode === "required" ? check : checkQuickly)(claims);
    }
    if (state === "unknown" && mode === "required") {
      const error = "Tokens can't be checked right now, try again shortly";
      throw new ApiError("revocations_unknown", error);
    }
    if (state === "good" || state === "unknown") return { caller: claims };
    return { revoked: claims, tokenFault: state };
  };

  const admit = async (
    operation: OperationId,
    token: string,
    headers: Headers,
  ): Promise<Admission> => {
    if (operation === "getMetrics" && metricsToken !== undefined && isEqual(token, metricsToken)) {
      return {};
    }
    const { caller, revoked, tokenFault } = await holderOf(token);
    const reason = tokenFault ? "bad_token" : missingRole(operation, caller?.role ?? null);
    if (reason === undefined) return { caller };
    if (mode === "legacy") return { caller, revoked, tokenFault, wouldRefuse: reason };
    // A repeated logout sends the token that the first one revoked.
    if (operation === "logout" && revoked && headers.has("idempotency-key")) {
      return { revoked, tokenFault };
    }
    if (tokenFault) throw new BadTokenError(tokenFault, revoked?.sub ?? ownerOf(token, tokenFault));
    throw new ApiError("role", "Your role may not do this", { account: caller?.sub });
  };

  return (operation, headers) => {
    if (ACCESS[operation] === "open") return {};
    const token = bearerToken(headers.get("authorization"));
    if (token !== undefined) return admit(operation, token, headers);
    if (mode === "legacy") return { wouldRefuse: "no_token" };
    throw new ApiError("no_token", "A token is needed: log in", {
      headers: { "www-authenticate": CHALLENGE },
    });
  };
}

/** The faults that are found after a token's signature has been verified. */
const SIGNED: ReadonlySet<TokenFault> = new Set([
  "type",
  "issuer",
  "audience",
  "claims",
  "expired",
  "not_yet_valid",
]);

/** The account of an invalid token, when we signed it. */
function ownerOf(token: string, fault: TokenFault): string | undefined {
  if (!SIGNED.has(fault)) return undefined;
  return ClaimsOfToken.shape.sub.safeParse(decodeJwt(token).sub).data;
}

function missingRole(operation: OperationId, role: Role | null): "role" | undefined {
  const access: Access = ACCESS[operation];
  if (typeof access === "string") return undefined;
  return role !== null && access.includes(role) ? undefined : "role";
}

/** Our tokens have about 500 characters. */
const MAX_AUTHORIZATION = 8_192;

/**
 * The token of an Authorization header (RFC 6750): undefined for another scheme, empty when it is
 * too long.
 */
export function bearerToken(header: string | null): string | undefined {
  if (header === null || !/^bearer /i.test(header)) return undefined;
  if (header.length > MAX_AUTHORIZATION) return "";
  let [start, end] = ["bearer ".length, header.length];
  while (start < end && header[start] === " ") start++;
  while (start < end && header[end - 1] === " ") end--;
  return header.slice(start, end);
}

function isEqual(one: string, other: string): boolean {
  const [a, b] = [new TextEncoder().encode(one), new TextEncoder().encode(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
