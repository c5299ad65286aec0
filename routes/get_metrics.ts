import { createRoute, z } from "@hono/zod-openapi";
import { type App, operation } from "../http/operation.ts";
import type { Metrics } from "../metrics.ts";
import { errors } from "./responses.ts";

const definition = createRoute({
  operationId: "getMetrics",
  method: "get",
  path: "/metrics",
  responses: {
    200: {
      description: "What this process has counted since its start.",
      content: { "text/plain": { schema: z.string() } },
    },
    ...errors(401, 403, 405, 500, 503),
  },
});

/** The counters of this process in Prometheus' text format. */
export const getMetrics = (app: App, { metrics }: { metrics: Metrics }) =>
  operation(
    app,
    definition,
    async (c) => c.body(await metrics.text(), 200, { "content-type": metrics.type }),
  );
