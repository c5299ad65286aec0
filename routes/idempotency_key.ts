import { createHash } from "node:crypto";
import { z } from "@hono/zod-openapi";
import { KEY_PATTERN } from "../contract/request_values.ts";
import {
  findRequest,
  type IdempotencyKey,
  keyInFlight,
  wasStoredMeanwhile,
} from "../db/idempotency_keys.ts";
import { ApiError } from "../errors.ts";
import { readHeaders } from "../http/input.ts";
import type { RequestContext } from "../http/operation.ts";
import { isObject } from "../json.ts";
import type { RouteDeps } from "./deps.ts";
import { must } from "./schemas.ts";

/*
 * Requests that a client may repeat:
 * https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */

const IDEMPOTENCY_KEY = "Idempotency-Key";

const Key = z.string().regex(KEY_PATTERN, { error: must("1 to 255 visible ASCII characters") });

export const IdempotencyHeaders = z.object({ [IDEMPOTENCY_KEY]: Key.optional() });

interface Handlers {
  /** @param key to store in the transaction that has the effect; undefined when none was sent */
  execute(key: IdempotencyKey | undefined): Promise<Response>;
  /** Returns the first response again. */
  replay(key: IdempotencyKey): Promise<Response>;
}

// Requests with a key that this process is executing. This spares the database their repetitions;
// the database itself ensures a single effect across processes.
const inFlight = new Set<string>();

/**
 * Executes a request once for each `Idempotency-Key` and caller. A refused request has no effect,
 * stores nothing, and leaves its key free.
 *
 * Two requests are the same when their JSON documents are equal, regardless of order and form.
 *
 * @param scope the operation's id, and whatever else identifies the request besides its document
 * @throws {ApiError} 422 for a malformed key, 409 for one that another request used and while the
 * first request runs
 */
export async function idempotent(
  c: RequestContext,
  { sql, mode }: Pick<RouteDeps, "sql" | "mode">,
  scope: string,
  { execute, replay }: Handlers,
): Promise<Response> {
  if (!c.req.raw.headers.has(IDEMPOTENCY_KEY)) return await execute(undefined);
  const { [IDEMPOTENCY_KEY]: sentKey } = readHeaders(c, IdempotencyHeaders);
  if (sentKey === undefined) return await execute(undefined);
  const { caller, revoked, document } = c.env;
  const key = {
    // `legacy` identifies no callers, and a token may expire between two tries.
    caller: mode === "required" ? (caller ?? revoked)?.sub ?? "" : "",
    key: unquoted(sentKey),
    account: c.env.account,
    request: createHash("sha256").update(canonical([scope, document])).digest("hex"),
  };

  const replayStored = async (): Promise<Response | undefined> => {
    const request = await findRequest(sql, key);
    if (request === undefined) return undefined;
    if (request !== key.request) {
      const error = "This Idempotency-Key was used for another request: take a new one";
      throw new ApiError("key_reused", error);
    }
    c.env.responseHeaders["idempotency-replayed"] = "true";
    return await replay(key);
  };

  const replayed = await replayStored();
  if (replayed !== undefined) return replayed;
  const name = `${key.caller}\n${key.key}`;
  if (inFlight.has(name)) throw keyInFlight();
  inFlight.add(name);
  try {
    return await execute(key);
  } catch (error) {
    const isStoredMeanwhile = wasStoredMeanwhile(error);
    // The conflict may be with the same request, stored since the lookup.
    if (!isStoredMeanwhile && !(error instanceof ApiError && error.code === "taken")) throw error;
    const replayed = await replayStored();
    if (replayed !== undefined) return replayed;
    throw isStoredMeanwhile ? keyInFlight() : error;
  } finally {
    inFlight.delete(name);
  }
}

function unquoted(sentKey: string): string {
  return sentKey.startsWith('"') ? sentKey.slice(1, -1).replaceAll(/\\(.)/g, "$1") : sentKey;
}

/** Equal for values that differ only in the order of their fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (!isObject(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([one], [other]) => one < other ? -1 : 1));
  });
}
