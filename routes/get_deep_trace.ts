import { z } from "@hono/zod-openapi";
import { accepts } from "hono/accepts";
import { findTraceById } from "../db/traces.ts";
import { finish, LINES_TYPE, respondFinished, respondLines } from "../http/response.ts";
import { readParameters, readQuery } from "../http/input.ts";
import { type App, operation } from "../http/operation.ts";
import { CURSOR_PATTERN, linesOf, noSuchTrace, pageOf } from "./deep_trace_result.ts";
import { DeepTrace, MAX_PAGE_LENGTH, PAGE } from "./deep_trace_shapes.ts";
import type { RouteDeps } from "./deps.ts";
import { errors, readRoute, success } from "./responses.ts";
import { must, pageLimit, Uuid } from "./schemas.ts";

const Parameters = z.object({ id: Uuid });

const Query = z.object({
  limit: pageLimit(MAX_PAGE_LENGTH, PAGE),
  cursor: z.string().regex(CURSOR_PATTERN, { error: must("a next_cursor of this trace") })
    .optional(),
});

const page = success(DeepTrace);

const definition = readRoute(
  "getDeepTrace",
  "/api/traces/{id}",
  { ...page, content: { ...page.content, [LINES_TYPE]: { schema: z.string() } } },
  { request: { params: Parameters, query: Query }, responses: errors(400, 401, 403, 404, 422) },
);

/** A deep trace: its progress, and its result by page or as lines. */
export const getDeepTrace = (app: App, { sql, log }: RouteDeps) =>
  operation(app, definition, async (c) => {
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
    return respondFinished(c, 200, finish(await pageOf(sql, trace, { limit, cursor })));
  });
