import { ApiError } from "../../errors.ts";
import { readBytes } from "../../read_bytes.ts";

const MAX_BYTES = 16_384;
const DEADLINE_MS = 5_000;

// Invalid bytes would otherwise be recorded as U+FFFD, unnoticed.
const UTF_8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The JSON body of a request to the admin API.
 * @throws {ApiError} 400 no JSON, 408 too slow, 413 too large
 */
export async function readJson(request: Request, deadlineMs = DEADLINE_MS): Promise<unknown> {
  const { bytes, size } = await readBytes(request, { max: MAX_BYTES, deadlineMs });
  if (size > MAX_BYTES) {
    throw new ApiError("body_too_large", `The body is larger than ${MAX_BYTES} bytes`);
  }
  try {
    return JSON.parse(UTF_8.decode(bytes));
  } catch {
    throw new ApiError("invalid_json", "The body is not valid JSON in UTF-8");
  }
}
