import { listExistingCodes } from "../db/lots.ts";
import { continuing } from "../db/pool.ts";
import type { Sql } from "../db/sql.ts";
import { findExecuted, type IdempotencyKey, saveResponse } from "../db/idempotency_keys.ts";
import {
  deleteTrace,
  findSameTrace,
  findTraceById,
  insertMarkedTrace,
  insertTrace,
  queueTrace,
  type StoredTrace,
  type TraceBounds,
} from "../db/traces.ts";
import { ApiError } from "../errors.ts";
import { finish, respondFinished } from "../http/response.ts";
import { readJson, shorten } from "../http/input.ts";
import { type App, operation, type RequestContext } from "../http/operation.ts";
import { noSuchTrace, pageOf } from "./deep_trace_result.ts";
import { DeepTrace, DeepTraceInput, DEFAULT_MAX_LOTS, PAGE } from "./deep_trace_shapes.ts";
import type { RouteDeps } from "./deps.ts";
import { idempotent } from "./idempotency_key.ts";
import { accepted, errors, errorWithETag, repeatable, success, writeRoute } from "./responses.ts";

/** Further traces are refused with 429 or 503. */
const MAX_TRACES: TraceBounds = { ofAccount: 50, waiting: 1_000 };
const RETRY_AFTER_S = 10;

const definition = writeRoute("createDeepTrace", "/api/traces", DeepTraceInput, {
  200: repeatable(success(DeepTrace)),
  202: repeatable(accepted(DeepTrace, "/api/traces")),
  404: errorWithETag,
  ...errors(429),
});

/** Takes a deep trace: in the request if that is quick, else in a job. */
export const createDeepTrace = (app: App, { sql, mode, inlineTracer, limits }: RouteDeps) => {
  const stored = continuing(sql);
  operation(app, definition, async (c) => {
    const sent = await readJson(c, DeepTraceInput, limits);
    const { lot_code, direction, max_depth = null, at_most = DEFAULT_MAX_LOTS } = sent;
    const { signal } = c.req.raw;
    const caller = c.env.caller?.sub ?? null;
    const account = c.env.account;

    const start = async (key: IdempotencyKey | undefined): Promise<string> => {
      const id = crypto.randomUUID();
      const request = {
        id,
        lotCode: lot_code,
        direction,
        maxDepth: max_depth,
        atMost: at_most,
      };
      const same = await findSameTrace(sql, request, account, key);
      if (same !== undefined) return same;
      const inserted = inlineTracer.readsReplica
        ? await insertMarkedTrace(sql, request, caller)
        : await insertTrace(sql, request, caller);
      if (inserted === undefined) throw await unknownLot(sql, lot_code);
      const { lotId, mark } = typeof inserted === "string"
        ? { lotId: inserted, mark: undefined }
        : inserted;
      try {
        const isDone = await inlineTracer.take({ ...request, lotId }, signal, key, mark);
        // Only this response names the trace, and the client has gone.
        signal.throwIfAborted();
        if (isDone) return id;
        const queued = await queueTrace(stored, id, account, MAX_TRACES, key);
        if ("full" in queued) throw tooMany(queued.full);
        if (queued.id !== id) await deleteTrace(stored, id).catch(() => {});
        return queued.id;
      } catch (error) {
        await deleteTrace(stored, id).catch(() => {});
        if (!signal.aborted) throw error;
        throw new ApiError("client_gone", "The client has gone", { cause: error });
      }
    };

    return await idempotent(c, { sql, mode }, "createDeepTrace", {
      async execute(key) {
        const trace = await findTrace(stored, await start(key));
        return await respondWithTrace(c, stored, key ? await saveTrace(stored, key, trace) : trace);
      },
      async replay(key) {
        const { effect, response: saved } = await findExecuted<StoredTrace>(sql, key);
        const trace = saved ?? await saveTrace(sql, key, await findTrace(sql, effect));
        return await respondWithTrace(c, sql, await withSummary(sql, trace));
      },
    });
  });
};

/** Names the code, and a lot whose code differs in letter case: the usual mistake. */
async function unknownLot(sql: Sql, code: string): Promise<ApiError> {
  // These two by the index; a search in any case would read the whole table.
  const [other] = await listExistingCodes(sql, [code.toUpperCase(), code.toLowerCase()]);
  const hint = other === undefined ? "" : `; lot codes are case-sensitive, and ${other} exists`;
  return new ApiError("lot_not_found", `Lot not found: ${shorten(code)}${hint}`);
}

function tooMany(full: keyof TraceBounds): ApiError {
  const headers = { "retry-after": String(RETRY_AFTER_S) };
  if (full === "waiting") {
    return new ApiError("overloaded", "Too many traces are waiting, try again soon", { headers });
  }
  const error = `${MAX_TRACES.ofAccount} of your traces wait or run: try again when one is done`;
  return new ApiError("account_busy", error, { headers });
}

/**
 * Saves a trace as the response of a key, without its summary: that may be large, and never
 * changes.
 */
async function saveTrace(
  sql: Sql,
  key: IdempotencyKey,
  { summary, ...trace }: StoredTrace,
): Promise<StoredTrace> {
  const saved = await saveResponse<StoredTrace>(sql, key, { ...trace, summary: null });
  return saved.run === trace.run ? { ...saved, summary } : await withSummary(sql, saved);
}

async function withSummary(sql: Sql, trace: StoredTrace): Promise<StoredTrace> {
  if (trace.run === null || trace.summary !== null) return trace;
  return { ...trace, summary: (await findTrace(sql, trace.id)).summary };
}

async function findTrace(sql: Sql, id: string): Promise<StoredTrace> {
  const trace = await findTraceById(sql, id);
  if (trace === undefined) throw noSuchTrace();
  return trace;
}

async function respondWithTrace(
  c: RequestContext,
  sql: Sql,
  trace: StoredTrace,
): Promise<Response> {
  if (trace.state !== "done") c.env.responseHeaders.location = `/api/traces/${trace.id}`;
  const body = finish(await pageOf(sql, trace, { limit: PAGE }));
  return respondFinished(c, trace.state === "done" ? 200 : 202, body);
}
