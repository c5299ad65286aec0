import { type createRoute, OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { isOperationId, type OperationId, securityOf } from "../auth/access.ts";
import type { Claims } from "../auth/claims.ts";
import type { ApiError } from "../errors.ts";
import type { LogFields } from "../log.ts";
import type { RefusalReason, TokenFault } from "../metrics.ts";
import type { Effects } from "./effects.ts";
import { FoundRoutes } from "./found_routes.ts";
import { type FoundPath, PathTable } from "./paths.ts";

/** What is known of a request besides what the client sent. */
export class RequestState {
  /** Whose valid token was sent; the guard says it. */
  caller: Claims | undefined;
  /** Whose token was sent, when it was valid until it was revoked; the guard says it. */
  revoked: Claims | undefined;
  /** What is wrong with the token that was sent; told in the log and the metrics, never the client. */
  tokenFault: TokenFault | undefined;
  /** Why `AUTH_MODE=required` would have refused the request; told in the log and the metrics. */
  wouldRefuse: RefusalReason | undefined;
  /** The JSON document that was sent, once it was read. */
  document: unknown;
  /** Only the head of the answer is sent; it is asked for as with GET. */
  isHead = false;
  /** What an answer that is no error says besides, by header. */
  readonly responseHeaders: Record<string, string> = {};
  /** What the request was refused with. */
  refused: ApiError | undefined;
  /** What the request's line in the log says besides. */
  logged: LogFields | undefined;
  /** The operation of the path that the method asks for, if there is one; HEAD asks for that of GET. */
  readonly operation: OperationId | undefined;

  constructor(
    method: string,
    readonly path: FoundPath<OperationId>,
    /** The address of the client, behind trusted proxies. */
    readonly clientAddress: string,
    public effects: Effects,
  ) {
    this.operation = path.methods.get(method === "HEAD" ? "GET" : method);
  }
}

/** Hono's name for what comes with each request. */
export interface RequestEnv {
  Bindings: RequestState;
}

/** What a route's handler is given. */
export type RequestContext = Context<RequestEnv>;

type Handle = (c: RequestContext) => Response | Promise<Response>;

/** The application: the router, with the registry that the published document is checked against. */
export class App {
  readonly router = new OpenAPIHono<RequestEnv>({
    // The path was found before, by the old server's rules.
    router: new FoundRoutes(),
    getPath: (_request, options) =>
      options?.env instanceof RequestState ? options.env.path.template : "",
  });
  /** What is answered where. A request goes to nothing that isn't in here, past no guard. */
  readonly paths = new PathTable<OperationId>();

  constructor() {
    // Whatever a route throws is answered by the envelope, the one place that knows how.
    this.router.onError((error) => {
      throw error;
    });
  }

  /** Answers GET on a path that isn't an operation of the contract but goes by its name in ACCESS. */
  page(name: OperationId, path: string, handle: Handle): void {
    this.router.get(this.paths.add("GET", path, name), handle);
  }
}

/**
 * Registers one operation of the contract: documents it, with who may use it, and answers it.
 * Reading and checking what the client sent is the handler's first line (`readJson`,
 * `readParameters`) rather than zod-openapi's validators: those refuse with 415 and 400 what the
 * old server took.
 */
export function operation(
  app: App,
  definition: ReturnType<typeof createRoute>,
  handle: Handle,
): void {
  const { operationId = "", method } = definition;
  if (!isOperationId(operationId)) throw new Error(`${operationId} is not in auth/access.ts`);
  app.router.openAPIRegistry.registerPath({ ...definition, security: securityOf(operationId) });
  const template = app.paths.add(method.toUpperCase(), definition.getRoutingPath(), operationId);
  app.router.on(method, template, handle);
}
