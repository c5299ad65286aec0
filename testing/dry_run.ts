import { DRY_RUN_HEADER, signDryRun } from "../contract/dry_run.ts";
import type { TestApi, TestResponse } from "./api.ts";
import { bytesOf } from "./raw_http.ts";

/** The secret of the tests' APIs and their clients for dry runs. */
export const SECRET = "a secret of more than 32 characters";

/** The header that makes a request a dry run. */
export function dryRunHeader(
  method: string,
  target: string,
  sent: string | Uint8Array = "",
  at = Date.now(),
): Record<string, string> {
  const body = typeof sent === "string" ? bytesOf(sent) : sent;
  return { [DRY_RUN_HEADER]: signDryRun(SECRET, { method, target, body, at }) };
}

/** Sends a request as {@link TestApi.post} does, as a dry run. */
export function postDry(
  api: TestApi,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<TestResponse> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return api.post(path, text, { ...headers, ...dryRunHeader("POST", path, text) });
}
