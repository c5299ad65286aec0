import { createRoute, z } from "@hono/zod-openapi";
import type { TraceCache } from "../cache/trace_cache.ts";
import type { Sql } from "../db/connect.ts";
import { findTogether } from "../db/find_together.ts";
import { findTraces } from "../db/lots.ts";
import { ApiError } from "../errors.ts";
import { answerFinished, finish } from "../http/answer.ts";
import { readParameters } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { errors, notModified, success } from "./responses.ts";
import { Lot, StorableText } from "./schemas.ts";

export const Trace = z.strictObject({
  central: Lot,
  parents: z.array(Lot),
  children: z.array(Lot),
}).openapi("Trace");

const Parameters = z.object({
  lotCode: StorableText.min(1),
});

const definition = createRoute({
  operationId: "getTraceability",
  method: "get",
  path: "/api/traceability/{lotCode}",
  request: { params: Parameters },
  responses: {
    200: success(Trace, "The lot with one hop in both directions."),
    304: notModified,
    ...errors(400, 401, 403, 404, 405, 422, 500, 503),
  },
});

interface Deps {
  readonly sql: Sql;
  readonly traceCache?: TraceCache;
}

/** One lot with the lots it was made of and the lots made of it, one entry a link. */
export const getTraceability = (app: App, { sql, traceCache }: Deps) => {
  const findTrace = findTogether(sql, findTraces);
  operation(app, definition, async (c) => {
    const { lotCode } = readParameters(c, Parameters);
    const cached = await traceCache?.find(lotCode);
    if (cached?.trace) return answerFinished(c, 200, cached.trace);
    const trace = await findTrace(lotCode);
    if (trace === undefined) throw new ApiError("lot_not_found", "Lot not found");
    const finished = finish(trace);
    // The client doesn't wait for it.
    cached?.keep(finished);
    return answerFinished(c, 200, finished);
  });
};
