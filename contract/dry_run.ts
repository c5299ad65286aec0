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

/** A request that is to be a dry run. */
export interface DryRunRequest {
  readonly method: string;
  /** Path and query, as they are sent. */
  readonly target: string;
  /** The bytes as they are sent; none without a body. */
  readonly body: Uint8Array;
  /** Now, in ms since 1970. */
  readonly at: number;
}

/** A request that came with the header. */
export interface ReceivedDryRun {
  readonly method: string;
  readonly target: string;
  /** SHA-256 of the body's bytes, in hex. */
  readonly bodyHash: string;
  /** The header's value. */
  readonly proof: string;
}

/** The value of {@link DRY_RUN_HEADER} for a request. */
export function signDryRun(secret: string, { method, target, body, at }: DryRunRequest): string {
  const bodyHash = createHash("sha256").update(body).digest("hex");
  return `t=${at},sig=${signature(secret, String(at), method, target, bodyHash).toString("hex")}`;
}

/** Whether a header's value could be a proof: of its form, and of now. */
export function isTimelyDryRun(proof: string, now: number): boolean {
  const [, at] = FORM.exec(proof) ?? [];
  return at !== undefined && Math.abs(now - Number(at)) <= GOOD_FOR_MS;
}

/**
 * Whether a holder of the secret wants this request to be a dry run.
 *
 * @param now in ms since 1970
 */
export function isDryRunProof(secret: string, received: ReceivedDryRun, now: number): boolean {
  const { method, target, bodyHash, proof } = received;
  if (!isTimelyDryRun(proof, now)) return false;
  const [, at = "", sig = ""] = FORM.exec(proof) ?? [];
  const expected = signature(secret, at, method, target, bodyHash);
  return timingSafeEqual(expected, Uint8Array.fromHex(sig));
}

function signature(secret: string, ...facts: string[]) {
  return createHmac("sha256", secret).update(["lotline-dry-run", ...facts].join("\n")).digest();
}
