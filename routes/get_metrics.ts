import { createRoute, z } from "@hono/zod-openapi";
import { type App, operation } from "../http/operation.ts";
import { createWorkGauges } from "../db/work_gauges.ts";
import type { RouteDeps } from "./deps.ts";
import { errors } from "./responses.ts";

const definition = createRoute({
  operationId: "getMetrics",
  method: "get",
  path: "/metrics",
  responses: {
    200: {
      description: "",
      content: { "text/plain": { schema: z.string() } },
    },
    ...errors(401, 403, 405, 500, 503),
  },
});

/**
 * The counters of this process in Prometheus' text format, and the state of the background work of
 * all processes, if PostgreSQL responds within a second.
 */
export const getMetrics = (app: App, { metrics, ...deps }: RouteDeps) => {
  const workGauges = createWorkGauges(deps);
  operation(app, definition, async (c) => {
    const [counters, gauges] = await Promise.all([metrics.text(), workGauges()]);
    return c.body(`${counters}\n${gauges}`, 200, { "content-type": metrics.type });
  });
};
