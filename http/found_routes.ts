import type { Result, Router } from "hono/router";

/**
 * A router for paths that {@link PathTable} has matched already: Hono passes the template as the
 * path, and this router finds the handler by it.
 */
export class FoundRoutes<Handler> implements Router<Handler> {
  readonly name = "FoundRoutes";
  readonly #byTemplate = new Map<string, Map<string, Result<Handler>>>();

  add(method: string, template: string, handler: Handler): void {
    const methods = this.#byTemplate.get(template) ?? new Map<string, Result<Handler>>();
    methods.set(method, [[[handler, {}]]]);
    this.#byTemplate.set(template, methods);
  }

  match(method: string, template: string): Result<Handler> {
    return this.#byTemplate.get(template)?.get(method) ?? NONE;
  }
}

const NONE: Result<never> = [[]];
