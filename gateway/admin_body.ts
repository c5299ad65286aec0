import { ApiError } from "../errors.ts";

const MOST_BYTES = 16_384;
const DEADLINE_MS = 5_000;

// Bad bytes would otherwise be recorded as U+FFFD, and nobody notice.
const UTF_8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The JSON that a request to the admin API brings.
 * @throws {ApiError} 400 no JSON, 408 too slow, 413 too large
 */
export async function readJson(request: Request, deadlineMs = DEADLINE_MS): Promise<unknown> {
  const bytes = await readBytes(request, deadlineMs);
  try {
    return JSON.parse(UTF_8.decode(bytes));
  } catch {
    throw new ApiError("invalid_json", "The body is not valid JSON in UTF-8");
  }
}

async function readBytes(request: Request, deadlineMs: number): Promise<Uint8Array> {
  const reader = request.body?.getReader();
  const all = new Uint8Array(MOST_BYTES);
  if (reader === undefined) return all.subarray(0, 0);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // The caller may be gone at the same moment.
    reader.cancel().catch(() => {});
  }, deadlineMs);
  try {
    for (let size = 0;;) {
      const { done, value } = await reader.read();
      if (late) throw new ApiError("body_too_slow", "The body took too long to arrive");
      if (done) return all.subarray(0, size);
      if (size + value.length > MOST_BYTES) {
        throw new ApiError("body_too_large", `The body is larger than ${MOST_BYTES} bytes`);
      }
      all.set(value, size);
      size += value.length;
    }
  } catch (thrown) {
    if (thrown instanceof ApiError) throw thrown;
    throw new ApiError("invalid_request", "The body ended too early", { cause: thrown });
  } finally {
    clearTimeout(timer);
    reader.releaseLock();
  }
}
