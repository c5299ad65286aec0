import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/*
 * The header of a dry run: the gateway requests what the service would respond, and proves its
 * identity. Both share a secret. A proof is valid for one method, target and body, for one minute.
 */

export const DRY_RUN_HEADER = "x-lotline-dry-run";
/** The value of that header in a response when nothing was executed. */
export const DRY_RUN_DONE = "done";

/** The tolerated difference between the proof's time and the verifier's clock, in ms. */
const GOOD_FOR_MS = 60_000;

const FORM = /^t=(\d{1,15}),sig=([0-9a-f]{64})$/;

/** A request that becomes a dry run. */
export interface DryRunRequest {
  readonly method: string;
  /** Path and query, unchanged. */
  readonly target: string;
  /** The bytes on the wire; empty without a body. */
  readonly body: Uint8Array;
  /** The time, in ms since 1970. */
  readonly at: number;
}

export interface ReceivedDryRun {
  readonly method: string;
  readonly target: string;
  /** SHA-256 of the body in hex. */
  readonly bodyHash: string;
  readonly proof: string;
}

/** The value of {@link DRY_RUN_HEADER} for a request. */
export function signDryRun(secret: string, { method, target, body, at }: DryRunRequest): string {
  const bodyHash = createHash("sha256").update(body).digest("hex");
  return `t=${at},sig=${signature(secret, String(at), method, target, bodyHash).toString("hex")}`;
}

/** Whether a value has the form of a proof and a current time. */
export function isTimelyDryRun(proof: string, now: number): boolean {
  const [, at] = FORM.exec(proof) ?? [];
  return at !== undefined && Math.abs(now - Number(at)) <= GOOD_FOR_MS;
}

/**
 * Whether a holder of the secret signed this request.
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
