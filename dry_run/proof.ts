import { createHash } from "node:crypto";
import { DRY_RUN_HEADER, isDryRunProof, isTimelyDryRun } from "../contract/dry_run.ts";
import { KEY_PATTERN } from "../contract/request_values.ts";
import { ApiError } from "../errors.ts";
import { type BodyLimits, maxCompressed } from "../http/body.ts";
import { targetOf } from "../http/paths.ts";
import { readBytes } from "../read_bytes.ts";

const KEY_HEADER = "idempotency-key";

/**
 * Checks the proof that a request for a dry run comes from a holder of the secret, and returns the
 * request with an unread body. A repeated header is no proof.
 *
 * The returned request has no `Idempotency-Key`: its answer is compared with that of a server without
 * keys. A malformed key stays, to be refused.
 *
 * @param secret undefined: all dry runs are refused
 * @throws {ApiError} 403 no proof, or not for this request or moment; 400, 408 the body didn't arrive
 */
export async function provenDryRun(
  request: Request,
  secret: string | undefined,
  limits: BodyLimits,
): Promise<Request> {
  const proof = request.headers.get(DRY_RUN_HEADER) ?? "";
  // Without a possible proof the body isn't read.
  if (secret === undefined || !isTimelyDryRun(proof, Date.now())) throw unproven();
  const hash = createHash("sha256");
  // One byte more than is ever accepted: a body that is too large stays so.
  const max = maxCompressed(limits) + 1;
  const { bytes, size } = await readBytes(
    request,
    { max, deadlineMs: limits.deadlineMs },
    (chunk) => hash.update(chunk),
  );
  const { method, url } = request;
  const received = { method, target: targetOf(url), bodyHash: hash.digest("hex"), proof };
  if (!isDryRunProof(secret, received, Date.now())) throw unproven();
  const headers = new Headers(request.headers);
  if (KEY_PATTERN.test(headers.get(KEY_HEADER) ?? "")) headers.delete(KEY_HEADER);
  if (request.body === null) return new Request(url, { method, headers });
  return new Request(url, { method, headers, body: size > max ? new Uint8Array(max) : bytes });
}

function unproven(): ApiError {
  return new ApiError("dry_run_unproven", "This is no valid request for a dry run");
}
