import { createRoute, z } from "@hono/zod-openapi";
import { answer } from "../http/answer.ts";
import { type App, operation } from "../http/operation.ts";
import { errors, notModified, success } from "./responses.ts";

export const Health = z.strictObject({
  status: z.literal("ok"),
  timestamp: z.string().openapi({ format: "date-time" }),
}).openapi("Health");

const definition = createRoute({
  operationId: "getHealth",
  method: "get",
  path: "/api/health",
  responses: {
    200: success(Health, "The service is up."),
    304: notModified,
    ...errors(405, 500, 503),
  },
});

/** Says that the process answers; it never touches the database (`/readyz` does). */
export const getHealth = (app: App) =>
  operation(
    app,
    definition,
    (c) => answer(c, 200, { status: "ok", timestamp: new Date().toISOString() }),
  );
