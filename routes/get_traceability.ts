import { z } from "@hono/zod-openapi";
import { findBatched } from "../db/batched_query.ts";
import { findTraces, LARGE_TRACE } from "../db/lots.ts";
import { ApiError } from "../errors.ts";
import { finish, type FinishedResponse, respondFinished, respondHeld } from "../http/response.ts";
import { readParameters } from "../http/input.ts";
import { type App, operation, type RequestContext } from "../http/operation.ts";
import type { RouteDeps } from "./deps.ts";
import { textOf } from "./large_trace_body.ts";
import { errors, errorWithETag, readRoute, success } from "./responses.ts";
import { Lot, StorableText } from "./schemas.ts";

export const Trace = z.strictObject({
  central: Lot,
  parents: z.array(Lot),
  children: z.array(Lot),
}).openapi("Trace");

const Parameters = z.object({ lotCode: StorableText.min(1) });

const definition = readRoute("getTraceability", "/api/traceability/{lotCode}", success(Trace), {
  request: { params: Parameters },
  responses: { 404: errorWithETag, ...errors(400, 401, 403, 413, 422) },
});

/** A response up to this size is sent whole, and may be cached. */
const MAX_SMALL_BYTES = 1_000_000;

/** One lot, its parents and its children, one entry per link. */
export const getTraceability = (app: App, { sql, traceCache, largeTraces, log }: RouteDeps) => {
  const findTrace = findBatched(sql, findTraces);

  const respondLarge = async (
    c: RequestContext,
    lotCode: string,
    set: ((response: FinishedResponse) => unknown) | undefined,
  ): Promise<Response> => {
    const { signal } = c.req.raw;
    const body = await largeTraces.find(lotCode, signal).catch((error) => {
      if (!signal.aborted) throw error;
      throw new ApiError("client_gone", "The client has gone", { cause: error });
    });
    if (body === undefined) throw noSuchLot();
    if (body.bytes > MAX_SMALL_BYTES) return respondHeld(c, body, log);
    const response = { body: textOf(body), etag: body.etag };
    body[Symbol.dispose]();
    set?.(response);
    return respondFinished(c, 200, response);
  };

  operation(app, definition, async (c) => {
    const { lotCode } = readParameters(c, Parameters);
    const cached = await traceCache?.find(lotCode);
    if (cached?.trace) return respondFinished(c, 200, cached.trace);
    const trace = await findTrace(lotCode);
    if (trace === undefined) throw noSuchLot();
    if (trace === LARGE_TRACE) return await respondLarge(c, lotCode, cached?.set);
    const response = finish(JSON.stringify(trace));
    // Not awaited: the client needs no cached trace.
    cached?.set(response);
    return respondFinished(c, 200, response);
  });
};

function noSuchLot(): ApiError {
  return new ApiError("lot_not_found", "Lot not found");
}
