import type { createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { FoundPath } from "./paths.ts";

/** What is known of a request before its route sees it. */
export class RequestFacts {
  constructor(readonly path: FoundPath, readonly requestId: string) {}
}

/** Hono's name for what comes with each request. */
export interface RequestEnv {
  Bindings: RequestFacts;
}

/** The application: Hono with the registry that the published document is checked against. */
export type App = OpenAPIHono<RequestEnv>;

/** What a route's handler is given. */
export type RequestContext = Context<RequestEnv>;

/**
 * Registers one operation of the contract: documents it and answers it. Reading and checking what
 * the client sent is the handler's first line (`readJson`, `readParameters`) rather than
 * zod-openapi's validators: those refuse with 415 and 400 what the old server took.
 */
export function operation(
  app: App,
  definition: ReturnType<typeof createRoute>,
  handle: (c: RequestContext) => Response | Promise<Response>,
): void {
  app.openAPIRegistry.registerPath(definition);
  app.on(definition.method, definition.getRoutingPath(), handle);
}
