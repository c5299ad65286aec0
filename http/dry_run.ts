import { createHash } from "node:crypto";
import { DRY_RUN_HEADER, isDryRunProof, isTimelyDryRun } from "../contract/dry_run.ts";
import { ApiError } from "../errors.ts";
import { readBytes } from "../read_bytes.ts";
import { type BodyLimits, mostCompressed } from "./body.ts";
import { targetOf } from "./paths.ts";

/** Whether a request is meant to have no effect: it has the header, in whatever form. */
export function asksForDryRun(request: Request): boolean {
  // `has` would make a list of all headers first.
  return request.headers.get(DRY_RUN_HEADER) !== null;
}

/**
 * Looks at the proof that a request for a dry run comes from a holder of the secret, and gives the
 * request with its body still to be read. A header that comes twice is no proof.
 *
 * @param secret nothing: nobody is to ask for dry runs
 * @throws {ApiError} 403 no proof, or not for this request or moment; 400, 408 the body didn't come
 */
export async function provenDryRun(
  request: Request,
  secret: string | undefined,
  limits: BodyLimits,
): Promise<Request> {
  const proof = request.headers.get(DRY_RUN_HEADER) ?? "";
  // What can't be a proof has none of its body read.
  if (secret === undefined || !isTimelyDryRun(proof, Date.now())) throw unproven();
  const hash = createHash("sha256");
  // One byte more than is ever taken: what is too large stays so.
  const max = mostCompressed(limits) + 1;
  const { bytes, size } = await readBytes(
    request,
    { max, deadlineMs: limits.deadlineMs },
    (chunk) => hash.update(chunk),
  );
  const { method, url, headers } = request;
  const received = { method, target: targetOf(url), bodyHash: hash.digest("hex"), proof };
  if (!isDryRunProof(secret, received, Date.now())) throw unproven();
  if (request.body === null) return request;
  return new Request(url, { method, headers, body: size > max ? new Uint8Array(max) : bytes });
}

function unproven(): ApiError {
  return new ApiError("dry_run_unproven", "This is no valid request for a dry run");
}
