import { createHash } from "node:crypto";
import { z } from "@hono/zod-openapi";
import type { AuthMode } from "../auth/guard.ts";
import { KEY_PATTERN } from "../contract/request_values.ts";
import type { Sql } from "../db/sql.ts";
import {
  findRequest,
  type IdempotencyKey,
  isKeptMeanwhile,
  keyInFlight,
} from "../db/idempotency_keys.ts";
import { ApiError } from "../errors.ts";
import { accountOf } from "../http/account.ts";
import { readHeaders } from "../http/input.ts";
import type { RequestContext } from "../http/operation.ts";
import { must } from "./schemas.ts";

/*
 * Requests that may be sent again: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
 */

/** The header, as the contract writes it. */
const IDEMPOTENCY_KEY = "Idempotency-Key";

const Key = z.string().regex(KEY_PATTERN, { error: must("1 to 255 visible ASCII characters") });

/** The headers of an operation that may be asked for again. */
export const RepeatHeaders = z.object({ [IDEMPOTENCY_KEY]: Key.optional() });

/** How an operation answers: when it is asked for the first time, and when it was done before. */
interface Ways {
  /** @param key is to be kept in the transaction that has the effect; nothing: none was sent */
  first(key: IdempotencyKey | undefined): Promise<Response>;
  /** Gives the first answer once more. */
  again(key: IdempotencyKey): Promise<Response>;
}

// The first requests that this process is at. It spares the database those that come meanwhile; that
// there is one effect is the database's work, whatever process they come to.
const atWork = new Set<string>();

/**
 * Answers a request, once for each `Idempotency-Key` and caller. A request that is refused has no
 * effect, keeps nothing, and leaves its key free.
 *
 * The request is the same when its JSON document is, in whatever order and form its fields come.
 *
 * @param asked the operation's id, with what else tells the request from others than its document
 * @throws {ApiError} 422 for a key of another form or one that was used for another request, 409
 * when the first one is still being worked on
 */
export async function once(
  c: RequestContext,
  { sql, mode }: { readonly sql: Sql; readonly mode: AuthMode },
  asked: string,
  { first, again }: Ways,
): Promise<Response> {
  if (!c.req.raw.headers.has(IDEMPOTENCY_KEY)) return await first(undefined);
  const { [IDEMPOTENCY_KEY]: sent } = readHeaders(c, RepeatHeaders);
  if (sent === undefined) return await first(undefined);
  const { caller, ended, document } = c.env;
  const key = {
    // In legacy nobody is asked who they are, and a token may end between two tries.
    caller: mode === "required" ? (caller ?? ended)?.sub ?? "" : "",
    key: unquoted(sent),
    account: accountOf(c.env),
    request: createHash("sha256").update(canonical([asked, document])).digest("hex"),
  };

  const answerAgain = async (): Promise<Response | undefined> => {
    const request = await findRequest(sql, key);
    if (request === undefined) return undefined;
    if (request !== key.request) throw reused();
    c.env.answerHeaders["idempotency-replayed"] = "true";
    c.env.answerHeaders["access-control-expose-headers"] = "Idempotency-Replayed";
    return await again(key);
  };

  const known = await answerAgain();
  if (known !== undefined) return known;
  const name = `${key.caller}\n${key.key}`;
  if (atWork.has(name)) throw keyInFlight();
  atWork.add(name);
  try {
    return await first(key);
  } catch (error) {
    const isKept = isKeptMeanwhile(error);
    // Refused perhaps for what the same request has stored since it was looked for.
    if (!isKept && !(error instanceof ApiError && error.code === "taken")) throw error;
    const known = await answerAgain();
    if (known !== undefined) return known;
    throw isKept ? keyInFlight() : error;
  } finally {
    atWork.delete(name);
  }
}

function unquoted(sent: string): string {
  return sent.startsWith('"') ? sent.slice(1, -1).replaceAll(/\\(.)/g, "$1") : sent;
}

/** The same text for values that differ in nothing but the order of their fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    const fields: [string, unknown][] = Object.entries(part);
    return Object.fromEntries(fields.sort(([one], [other]) => one < other ? -1 : 1));
  });
}

function reused(): ApiError {
  return new ApiError(
    "key_reused",
    "This Idempotency-Key was used for another request: take a new one",
  );
}
