import { createHash } from "node:crypto";
import { z } from "@hono/zod-openapi";
import type { AuthMode } from "../auth/guard.ts";
import { KEY_PATTERN } from "../contract/request_values.ts";
import type { Sql } from "../db/sql.ts";
import {
  findRequest,
  type IdempotencyKey,
  keyInFlight,
  wasStoredMeanwhile,
} from "../db/idempotency_keys.ts";
import { ApiError } from "../errors.ts";
import { accountOf } from "../http/account.ts";
import { readHeaders } from "../http/input.ts";
import type { RequestContext } from "../http/operation.ts";
import { isObject } from "../json.ts";
import { must } from "./schemas.ts";

/*
 * Requests that may be sent again: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */

/** The header, as the contract writes it. */
const IDEMPOTENCY_KEY = "Idempotency-Key";

const Key = z.string().regex(KEY_PATTERN, { error: must("1 to 255 visible ASCII characters") });

/** The headers of an operation that may be asked for again. */
export const IdempotencyHeaders = z.object({ [IDEMPOTENCY_KEY]: Key.optional() });

/** How an operation answers: when it is asked for the first time, and when it was done before. */
interface Handlers {
  /** @param key is to be kept in the transaction that has the effect; nothing: none was sent */
  execute(key: IdempotencyKey | undefined): Promise<Response>;
  /** Gives the first answer once more. */
  replay(key: IdempotencyKey): Promise<Response>;
}

// The first requests that this process is at. It spares the database those that come meanwhile; that
// there is one effect is the database's work, whatever process they come to.
const inFlight = new Set<string>();

/**
 * Answers a request, once for each `Idempotency-Key` and caller. A request that is refused has no
 * effect, keeps nothing, and leaves its key free.
 *
 * The request is the same when its JSON document is, in whatever order and form its fields come.
 *
 * @param scope the operation's id, with what else tells the request from others than its document
 * @throws {ApiError} 422 for a key of another form or one that was used for another request, 409
 * when the first one is still being worked on
 */
export async function idempotent(
  c: RequestContext,
  { sql, mode }: { readonly sql: Sql; readonly mode: AuthMode },
  scope: string,
  { execute, replay }: Handlers,
): Promise<Response> {
  if (!c.req.raw.headers.has(IDEMPOTENCY_KEY)) return await execute(undefined);
  const { [IDEMPOTENCY_KEY]: sentKey } = readHeaders(c, IdempotencyHeaders);
  if (sentKey === undefined) return await execute(undefined);
  const { caller, revoked: ended, document } = c.env;
  const key = {
    // In legacy nobody is asked who they are, and a token may end between two tries.
    caller: mode === "required" ? (caller ?? ended)?.sub ?? "" : "",
    key: unquoted(sentKey),
    account: accountOf(c.env),
    request: createHash("sha256").update(canonical([scope, document])).digest("hex"),
  };

  const replayStored = async (): Promise<Response | undefined> => {
    const request = await findRequest(sql, key);
    if (request === undefined) return undefined;
    if (request !== key.request) throw reused();
    c.env.responseHeaders["idempotency-replayed"] = "true";
    c.env.responseHeaders["access-control-expose-headers"] = "Idempotency-Replayed";
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
    // Refused perhaps for what the same request has stored since it was looked for.
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

/** The same text for values that differ in nothing but the order of their fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (!isObject(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([one], [other]) => one < other ? -1 : 1));
  });
}

function reused(): ApiError {
  return new ApiError(
    "key_reused",
    "This Idempotency-Key was used for another request: take a new one",
  );
}
