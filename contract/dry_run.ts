import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/*
 * How the gateway asks the service what it would answer, and proves that it is the gateway: the
 * header of a dry run. Both sides hold the same secret; nobody else can make the header, and it is
 * good for one method, target and body only, for a minute.
 */

/** The header of a request that is to have no effect. */
export const DRY_RUN_HEADER = "x-lotline-dry-run";
/** What the same header of an answer says when nothing was executed. */
export const DRY_RUN_DONE = "done";

/** How far a proof's moment may be from the verifier's clock, in ms. */
const GOOD_FOR_MS = 60_000;

const FORM = /^t=(\d{1,15}),sig=([0-9a-f]{64})$/;

/** What a proof is good for. */
export interface DryRunRequest {
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly target: string;
  /** SHA-256 of the body's bytes as they are sent, of no bytes when there is none; {@link sha256}. */
  readonly bodyHash: string;
}

/** SHA-256 of some bytes, in hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * The value of {@link DRY_RUN_HEADER} for a request.
 *
 * @param at now, in ms since 1970
 */
export function signDryRun(secret: string, request: DryRunRequest, at: number): string {
  return `t=${at},sig=${signature(secret, request, String(at)).toString("hex")}`;
}

/** Whether a header's value could be a proof: of its form, and of now. */
export function isTimelyDryRun(header: string, now: number): boolean {
  const [, at] = FORM.exec(header) ?? [];
  return at !== undefined && Math.abs(now - Number(at)) <= GOOD_FOR_MS;
}

/** Whether a header's value proves that a holder of the secret wants this request to be a dry run. */
export function isDryRunProof(
  secret: string,
  request: DryRunRequest,
  header: string,
  now: number,
): boolean {
  if (!isTimelyDryRun(header, now)) return false;
  const [, at = "", sig = ""] = FORM.exec(header) ?? [];
  return timingSafeEqual(signature(secret, request, at), Uint8Array.fromHex(sig));
}

function signature(secret: string, { method, target, bodyHash }: DryRunRequest, at: string) {
  return createHmac("sha256", secret)
    .update(["lotline-dry-run", at, method, target, bodyHash].join("\n"))
    .digest();
}
