import { z } from "@hono/zod-openapi";
import { timestamp } from "../clock.ts";
import { finish, type FinishedResponse, respondFinished } from "../http/response.ts";
import { type App, operation } from "../http/operation.ts";
import { readRoute, success } from "./responses.ts";

export const Health = z.strictObject({
  status: z.literal("ok"),
  timestamp: z.string().openapi({ format: "date-time" }),
}).openapi("Health");

const definition = readRoute("getHealth", "/api/health", success(Health));

/** Reports that the process responds; unlike `/readyz` it never queries the database. */
export const getHealth = (app: App) => {
  const finished = oncePerMoment();
  return operation(app, definition, (c) => respondFinished(c, 200, finished()));
};

/** Requests of the same millisecond share one response: its ETag takes most of the time. */
function oncePerMoment(): () => FinishedResponse {
  let moment = "";
  let finished: FinishedResponse;
  return () => {
    const now = timestamp();
    if (now !== moment) {
      moment = now;
      finished = finish(JSON.stringify({ status: "ok", timestamp: now }));
    }
    return finished;
  };
}
