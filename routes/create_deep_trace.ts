import { createRoute } from "@hono/zod-openapi";
import type { Sql } from "../db/connect.ts";
import { deleteTrace, findTraceById, insertTrace, queueTrace } from "../db/traces.ts";
import { ApiError } from "../errors.ts";
import { answerFinished, finishJson } from "../http/answer.ts";
import type { BodyLimits } from "../http/body.ts";
import { readJson } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import type { InlineTracer } from "../lineage/inline.ts";
import { noSuchTrace, pageOf } from "./deep_trace_result.ts";
import { DeepTrace, LOTS_UNLESS_SAID, NewDeepTrace, PAGE } from "./deep_trace_shapes.ts";
import { accepted, errors, success } from "./responses.ts";

/** So many traces may wait for a worker; more are told to come back. */
const MOST_WAITING = 1_000;
const RETRY_AFTER_S = 10;

const definition = createRoute({
  operationId: "createDeepTrace",
  method: "post",
  path: "/api/traces",
  request: { body: { required: true, content: { "application/json": { schema: NewDeepTrace } } } },
  responses: {
    200: success(DeepTrace, "The trace is done; this is the first page."),
    202: accepted(DeepTrace, "The trace is being taken.", "/api/traces"),
    ...errors(400, 401, 403, 404, 405, 408, 413, 415, 422, 500, 503),
  },
});

interface Deps {
  readonly sql: Sql;
  readonly inlineTracer: InlineTracer;
  readonly limits: BodyLimits;
}

/** Takes a deep trace, at once where that is quick, else by a job. */
export const createDeepTrace = (app: App, { sql, inlineTracer, limits }: Deps) =>
  operation(app, definition, async (c) => {
    const { lot_code, direction, max_depth = null, at_most = LOTS_UNLESS_SAID } = await readJson(
      c,
      NewDeepTrace,
      limits,
    );
    const { signal } = c.req.raw;
    const id = crypto.randomUUID();
    const asked = { id, direction, maxDepth: max_depth, atMost: at_most };
    const caller = c.env.caller?.sub ?? null;
    const lotId = await insertTrace(sql, { ...asked, lotCode: lot_code }, caller);
    if (lotId === undefined) throw new ApiError("lot_not_found", "Lot not found");

    try {
      const isDone = await inlineTracer.take({ ...asked, lotId }, signal);
      // Nobody would ever ask for what a client that has gone was to be told.
      signal.throwIfAborted();
      if (!isDone && !await queueTrace(sql, id, MOST_WAITING)) {
        throw new ApiError("overloaded", "Too many traces are waiting, try again soon", {
          headers: { "retry-after": String(RETRY_AFTER_S) },
        });
      }
    } catch (error) {
      await deleteTrace(sql, id).catch(() => {});
      if (!signal.aborted) throw error;
      throw new ApiError("invalid_request", "The client has gone", { cause: error });
    }
    const trace = await findTraceById(sql, id);
    if (trace === undefined) throw noSuchTrace();
    if (trace.state !== "done") c.header("location", `/api/traces/${id}`);
    const body = finishJson(await pageOf(sql, trace, { limit: PAGE }));
    return answerFinished(c, trace.state === "done" ? 200 : 202, body);
  });
