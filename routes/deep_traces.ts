import { z } from "@hono/zod-openapi";
import { accepts } from "hono/accepts";
import { findExecuted, type IdempotencyKey, saveResponse } from "../db/idempotency_keys.ts";
import type { Sql } from "../db/sql.ts";
import {
  deleteTrace,
  findSameTrace,
  findTraceById,
  insertTrace,
  queueTrace,
  type StoredTrace,
  type TraceBounds,
} from "../db/traces.ts";
import { ApiError } from "../errors.ts";
import { readJson, readParameters, readQuery } from "../http/input.ts";
import { type App, operation, type RequestContext } from "../http/operation.ts";
import { finishJson, LINES_TYPE, respondFinished, respondLines } from "../http/response.ts";
import { CURSOR_PATTERN, linesOf, noSuchTrace, pageOf } from "./deep_trace_result.ts";
import type { RouteDeps } from "./deps.ts";
import { idempotent } from "./idempotency_key.ts";
import {
  accepted,
  errors,
  errorWithETag,
  readRoute,
  repeatable,
  success,
  writeRoute,
} from "./responses.ts";
import { DecimalOut, Lot, LotCode, LotType, MomentOut, must, pageLimit, Uuid } from "./schemas.ts";

/*
 * The database returns lots and links as lines of JSON: these shapes describe the lines, and tests
 * compare them.
 */

const MAX_DEPTH = 10_000;
const MAX_LOTS = 1_000_000;
const DEFAULT_MAX_LOTS = 100_000;
const MAX_PAGE_LENGTH = 10_000;
/** The default length of a page. */
const PAGE = 1_000;

const Direction = z.enum(["upstream", "downstream", "both"]);

const wholeNumber = (max: number) => {
  const error = must(`a whole number from 1 to ${max}`);
  return z.int({ error }).min(1, { error }).max(max, { error });
};

export const NewDeepTrace = z.strictObject({
  lot_code: z.union([LotCode, z.number()], { error: must("a lot code: text or a number") })
    .transform(String),
  direction: Direction,
  max_depth: wholeNumber(MAX_DEPTH).nullable().optional(),
  at_most: wholeNumber(MAX_LOTS).optional(),
}).openapi("NewDeepTrace");

const count = z.int().min(0);

const DeepTraceLot = z.strictObject({ ...Lot.shape, depth: count }).openapi("DeepTraceLot");

const DeepTraceLink = z.strictObject({
  parent_lot_id: Uuid,
  child_lot_id: Uuid,
  quantity_used_kg: DecimalOut,
}).openapi("DeepTraceLink");

const DeepTraceTotal = z.strictObject({
  lot_type: LotType.nullable(),
  lots: count,
  weight_kg: DecimalOut,
}).openapi("DeepTraceTotal");

const State = z.enum(["queued", "running", "done", "failed", "cancelled"]);

export const DeepTrace = z.strictObject({
  id: Uuid,
  state: State,
  progress: z.strictObject({ lots: count, depth: count }),
  lot_code: z.string(),
  direction: Direction,
  max_depth: count.nullable(),
  at_most: count,
  created_at: MomentOut,
  as_of: MomentOut,
  out_of_date: z.boolean(),
  result: z.strictObject({
    lots: z.array(DeepTraceLot),
    links: z.array(DeepTraceLink),
    lot_count: count,
    link_count: count,
    depth_reached: count,
    truncated: z.boolean(),
    half_links: count.nullable(),
    totals: z.array(DeepTraceTotal),
    cycles: z.array(z.array(z.string())),
    cycles_truncated: z.boolean(),
    next_cursor: z.string().nullable(),
  }).nullable(),
}).openapi("DeepTrace");

/** Further traces are refused with 429 or 503. */
const MAX_TRACES: TraceBounds = { ofAccount: 50, waiting: 1_000 };
const RETRY_AFTER_S = 10;

const create = writeRoute("createDeepTrace", "/api/traces", NewDeepTrace, {
  200: repeatable(success(DeepTrace)),
  202: repeatable(accepted(DeepTrace, "/api/traces")),
  404: errorWithETag,
  ...errors(429),
});

/** Takes a deep trace: in the request if that is quick, else in a job. */
export const createDeepTrace = (app: App, { sql, mode, inlineTracer, limits }: RouteDeps) =>
  operation(app, create, async (c) => {
    const sent = await readJson(c, NewDeepTrace, limits);
    const { lot_code, direction, max_depth = null, at_most = DEFAULT_MAX_LOTS } = sent;
    const { signal } = c.req.raw;
    const caller = c.env.caller?.sub ?? null;
    const account = c.env.account;

    const start = async (key: IdempotencyKey | undefined): Promise<string> => {
      const id = crypto.randomUUID();
      const request = { id, direction, maxDepth: max_depth, atMost: at_most };
      const same = await findSameTrace(sql, { ...request, lotCode: lot_code, account }, key);
      if (same !== undefined) return same;
      const lotId = await insertTrace(sql, { ...request, lotCode: lot_code }, caller);
      if (lotId === undefined) throw new ApiError("lot_not_found", "Lot not found");
      try {
        const isDone = await inlineTracer.take({ ...request, lotId }, signal, key);
        // Only this response names the trace, and the client has gone.
        signal.throwIfAborted();
        if (isDone) return id;
        const queued = await queueTrace(sql, id, account, MAX_TRACES, key);
        if ("full" in queued) throw tooMany(queued.full);
        if (queued.id !== id) await deleteTrace(sql, id).catch(() => {});
        return queued.id;
      } catch (error) {
        await deleteTrace(sql, id).catch(() => {});
        if (!signal.aborted) throw error;
        throw new ApiError("invalid_request", "The client has gone", { cause: error });
      }
    };

    return await idempotent(c, { sql, mode }, "createDeepTrace", {
      async execute(key) {
        const trace = await findTrace(sql, await start(key));
        return await respondWithTrace(c, sql, key ? await saveTrace(sql, key, trace) : trace);
      },
      async replay(key) {
        const { effect, answer: saved } = await findExecuted<StoredTrace>(sql, key);
        const trace = saved ?? await saveTrace(sql, key, await findTrace(sql, effect));
        return await respondWithTrace(c, sql, await withSummary(sql, trace));
      },
    });
  });

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
  const body = finishJson(await pageOf(sql, trace, { limit: PAGE }));
  return respondFinished(c, trace.state === "done" ? 200 : 202, body);
}

const Parameters = z.object({ id: Uuid });

const Query = z.object({
  limit: pageLimit(MAX_PAGE_LENGTH, PAGE),
  cursor: z.string().regex(CURSOR_PATTERN, { error: must("a next_cursor of this trace") })
    .optional(),
});

const page = success(DeepTrace);

const get = readRoute(
  "getDeepTrace",
  "/api/traces/{id}",
  { ...page, content: { ...page.content, [LINES_TYPE]: { schema: z.string() } } },
  { request: { params: Parameters, query: Query }, responses: errors(400, 401, 403, 404, 422) },
);

/** A deep trace: its progress, and its result by page or as lines. */
export const getDeepTrace = (app: App, { sql, log }: RouteDeps) =>
  operation(app, get, async (c) => {
    const { id } = readParameters(c, Parameters);
    const { limit, cursor } = readQuery(c, Query);
    const trace = await findTraceById(sql, id);
    if (trace === undefined) throw noSuchTrace();
    c.env.responseHeaders.vary = "Accept";
    const type = accepts(c, {
      header: "Accept",
      supports: ["application/json", LINES_TYPE],
      default: "application/json",
    });
    if (type === LINES_TYPE) {
      const { head, lines } = linesOf(sql, trace);
      return respondLines(c, head, lines, log);
    }
    return respondFinished(c, 200, finishJson(await pageOf(sql, trace, { limit, cursor })));
  });
