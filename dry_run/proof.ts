import { createHash } from "node:crypto";
import { DRY_RUN_HEADER, isDryRunProof, isTimelyDryRun } from "../contract/dry_run.ts";
import { KEY_PATTERN } from "../contract/request_values.ts";
import { ApiError } from "../errors.ts";
import { type BodyLimits, maxCompressed } from "../http/body.ts";
import { targetOf } from "../http/paths.ts";
import { readBytes } from "../read_bytes.ts";

const KEY_HEADER = "idempotency-key";

/**
 * Looks at the proof that a request for a dry run comes from a holder of the secret, and gives the
 * request with its body still to be read. A header that comes twice is no proof.
 *
 * The request goes on without its `Idempotency-Key`: it is compared with a server that knows nothing of
 * keys. A malformed one stays, to be refused.
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
