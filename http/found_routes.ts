import type { Result, Router } from "hono/router";

/**
 * The router of an application whose paths are found by another one: it is asked for the template of
 * a path, and knows the handler by that.
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
