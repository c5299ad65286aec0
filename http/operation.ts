import { type createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Result, Router } from "hono/router";
import { accessInContract, isOperationId, type OperationId } from "../auth/access.ts";
import type { Claims } from "../auth/claims.ts";
import type { LoginEffects } from "../auth/sign_in.ts";
import { networkOf } from "../client_address.ts";
import type { Write } from "../db/write.ts";
import type { ApiError } from "../errors.ts";
import type { LogFields } from "../log.ts";
import type { RefusalReason, TokenFault } from "../metrics.ts";
import { prefersHtml } from "./accept.ts";
import { type Deprecation, deprecationHeaders } from "./deprecation.ts";
import { type FoundPath, pathnameOf, PathTable } from "./paths.ts";

/**
 * The effects that a request may have. They are part of its state, so that a step of the pipeline
 * can replace them. An operation that uses them has no other effect.
 */
export interface Effects {
  readonly write: Write;
  /** Removes a lot's trace from the cache. */
  forgetTrace(lotCode: string): Promise<void>;
  readonly login: LoginEffects;
  /** Whether refused logins get late responses; see `DELAYED_REFUSALS` in request_pipeline.ts. */
  readonly holdsBack: boolean;
}

export class RequestState {
  /** The claims of a valid token; the guard sets them. */
  caller: Claims | undefined;
  /** The claims of a token that was valid until it was revoked; the guard sets them. */
  revoked: Claims | undefined;
  /** For log and metrics, never for the client. */
  tokenFault: TokenFault | undefined;
  /** Why `AUTH_MODE=required` would refuse the request, for log and metrics. */
  wouldRefuse: RefusalReason | undefined;
  /** The JSON body, once it was read. */
  document: unknown;
  /** Whether the method is HEAD; the route sees GET. */
  isHead = false;
  /** Further headers of a success. */
  readonly responseHeaders: Record<string, string> = {};
  refused: ApiError | undefined;
  /** The account that a login names, found by its email. */
  signingIn: string | undefined;
  /** Further fields of the request's log line. */
  logged: LogFields | undefined;
  /** The operation for this path and method; HEAD has that of GET. */
  readonly operation: OperationId | undefined;

  constructor(
    method: string,
    readonly path: FoundPath<OperationId>,
    readonly clientAddress: string,
    public effects: Effects,
    readonly requestId: string,
  ) {
    this.operation = path.methods.get(method === "HEAD" ? "GET" : method);
  }

  /**
   * The account that quotas count. A request without a token, which only `AUTH_MODE=legacy` admits,
   * counts for its address, or for the /64 of an IPv6 address.
   */
  get account(): string {
    return this.caller?.sub ?? networkOf(this.clientAddress);
  }
}

export interface RequestEnv {
  Bindings: RequestState;
}

export type RequestContext = Context<RequestEnv>;

type Handle = (c: RequestContext) => Response | Promise<Response>;

/**
 * A router for paths that {@link PathTable} has matched already: Hono passes the template as the
 * path, and this router finds the handler by it.
 */
class FoundRoutes<Handler> implements Router<Handler> {
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

/** The router, and the registry against which the published document is checked. */
export class App {
  readonly router = new OpenAPIHono<RequestEnv>({
    // PathTable has matched the path already, by the old server's rules.
    router: new FoundRoutes(),
    getPath: (_request, options) =>
      options?.env instanceof RequestState ? options.env.path.template : "",
  });
  /**
   * All paths and operations. A request reaches no handler outside this table, and none without the
   * guard.
   */
  readonly paths = new PathTable<OperationId>();
  /** The headers that responses of a deprecated operation have. */
  readonly deprecationHeaders = new Map<OperationId, Readonly<Record<string, string>>>();
  /** Templates that only browsers find. */
  readonly #browserPages = new Set<string>();

  constructor() {
    // The request pipeline turns every error into a response.
    this.router.onError((error) => {
      throw error;
    });
  }

  /** Serves GET on a path that is no operation of the contract; `name` is its entry in ACCESS. */
  page(name: OperationId, path: string, handle: Handle): void {
    this.router.get(this.paths.add("GET", path, name), handle);
  }

  /** {@link page} for browsers. Every other client and method finds nothing at the path. */
  browserPage(name: OperationId, path: string, handle: Handle): void {
    this.page(name, path, handle);
    this.#browserPages.add(path);
  }

  /** What is at a request's path. */
  findPath({ method, url, headers }: Request): FoundPath<OperationId> | undefined {
    const path = this.paths.find(pathnameOf(url));
    if (path === undefined || !this.#browserPages.has(path.template)) return path;
    const isRead = method === "GET" || method === "HEAD";
    return isRead && prefersHtml(headers.get("accept")) ? path : undefined;
  }
}

type Responses = ReturnType<typeof createRoute>["responses"];

const header = (pattern?: string) => ({
  required: true,
  schema: { type: "string" as const, pattern },
});

/** The request pipeline sets it on every response. */
const REQUEST_ID = { "X-Request-Id": header("^[A-Za-z0-9_.-]{1,64}$") };
/** The request pipeline sets them on every response of a deprecated operation. */
const DEPRECATION = { Deprecation: header("^@[0-9]+$"), Sunset: header(), Link: header() };

function withHeaders(responses: Responses, headers: Record<string, object>): Responses {
  return Object.fromEntries(
    Object.entries(responses).map(([status, response]) => [
      status,
      "$ref" in response ? response : { ...response, headers: { ...response.headers, ...headers } },
    ]),
  );
}

export interface OperationOptions {
  /** Set when the operation goes away one day. */
  readonly deprecation?: Deprecation;
}

/**
 * Registers one operation of the contract: its documentation, its access and its handler.
 *
 * The handler reads and checks the input in its first lines (`readJson`, `readParameters`). The
 * validators of zod-openapi refuse with 415 and 400 some input that the old server took.
 */
export function operation(
  app: App,
  definition: ReturnType<typeof createRoute>,
  handle: Handle,
  { deprecation }: OperationOptions = {},
): void {
  const { operationId = "", method } = definition;
  if (!isOperationId(operationId)) throw new Error(`${operationId} is not in auth/access.ts`);
  if (deprecation) app.deprecationHeaders.set(operationId, deprecationHeaders(deprecation));
  app.router.openAPIRegistry.registerPath({
    ...definition,
    ...accessInContract(operationId),
    // oasdiff reads the date of `x-sunset`.
    ...deprecation && { deprecated: true, "x-sunset": deprecation.sunset },
    responses: withHeaders(definition.responses, { ...REQUEST_ID, ...deprecation && DEPRECATION }),
  });
  const template = app.paths.add(method.toUpperCase(), definition.getRoutingPath(), operationId);
  app.router.on(method, template, handle);
}
