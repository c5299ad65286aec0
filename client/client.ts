/**
 * A client of Lotline: its operations as methods, and what surrounds them: tokens, repeated requests,
 * errors, pages.
 *
 * @module
 */
import createApi, { type Client, defaultPathSerializer } from "openapi-fetch";
import { errorOfResponse, LotlineError } from "./errors.ts";
import { type DeepTraceLine, notDone, readTraceLines } from "./lines.ts";
import { pagesFrom } from "./pages.ts";
import { untilDone, type WaitOptions } from "./progress.ts";
import { createSend, type Fetch } from "./send.ts";
import { type Credentials, Session } from "./session.ts";
import type * as shapes from "./shapes.ts";

export { type ErrorDetail, type ErrorKind, LotlineError } from "./errors.ts";
export type { DeepTraceHead, DeepTraceLine } from "./lines.ts";
export type { WaitOptions } from "./progress.ts";
export type { Credentials } from "./session.ts";
export type * from "./shapes.ts";

/** What a client is made with. */
export interface ClientOptions {
  /** Where the service is, `https://…`; a path in it is kept. */
  readonly baseUrl: string;
  /** A token that there is already. */
  readonly token?: string | undefined;
  /** What to get a token with when one is needed, and another when that has ended. */
  readonly login?: Credentials | undefined;
  /** The global `fetch` unless it is said. */
  readonly fetch?: Fetch | undefined;
  /** How often a request is repeated at most: 4 times unless it is said, 0 for never. */
  readonly retries?: number | undefined;
  /** How long a response may take, each try by itself: 30,000 unless it is said. */
  readonly timeoutMs?: number | undefined;
}

/** What every call takes. */
export interface CallOptions {
  /** Ends the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What calls that store something take. */
export interface PostOptions extends CallOptions {
  /**
   * Says that it is the same request as an earlier one with this key, of another process perhaps.
   * Repeated tries of one call have the same key anyway.
   */
  readonly idempotencyKey?: string | undefined;
}

/**
 * The operations of the contract, and what is made of several of them. All throw a
 * {@link LotlineError} for anything but success.
 */
export interface LotlineClient {
  /** All operations as the contract has them, by `openapi-fetch`; token, key and tries as here. */
  readonly api: Client<shapes.paths, "application/json">;

  /** Whether the service is up. */
  getHealth(options?: CallOptions): Promise<shapes.Health>;

  /** Gets a token and keeps it, and these credentials for the next one. */
  login(credentials: Credentials, options?: CallOptions): Promise<shapes.Session>;
  /** Ends the token, and forgets it and the credentials. Without a token it does nothing else. */
  logout(options?: CallOptions): Promise<void>;

  /** A lot with its parents and children, one hop. */
  getTraceability(lotCode: string, options?: CallOptions): Promise<shapes.Trace>;
  /** Stores a lot. Give kilograms and °C as text, and every digit arrives. */
  createLot(lot: shapes.LotInput, options?: PostOptions): Promise<shapes.Lot>;
  /** Stores a decision about a lot at a QC gate. */
  createQcDecision(
    decision: shapes.QcDecisionInput,
    options?: PostOptions,
  ): Promise<shapes.QcDecision>;

  /** Begins a deep trace; a small one is done when this returns. */
  createDeepTrace(trace: shapes.DeepTraceInput, options?: PostOptions): Promise<shapes.DeepTrace>;
  /** How far a deep trace is, and one page of its result. */
  getDeepTrace(
    id: string,
    options?: CallOptions & shapes.DeepTraceQuery,
  ): Promise<shapes.DeepTrace>;
  /** Resolves when a deep trace is done, with the first page of its result. */
  waitForDeepTrace(id: string, options?: WaitOptions): Promise<shapes.FinishedDeepTrace>;
  /** A deep trace that is done, page by page. */
  deepTracePages(
    id: string,
    options?: CallOptions & shapes.DeepTraceQuery,
  ): AsyncGenerator<shapes.FinishedDeepTrace, void, undefined>;
  /** A deep trace that is done, as lines: first itself, then its lots, then its links. */
  deepTraceLines(
    id: string,
    options?: CallOptions,
  ): AsyncGenerator<DeepTraceLine, void, undefined>;

  /** Begins an audit, or returns the one that is in progress. */
  createAudit(options?: PostOptions): Promise<shapes.Audit>;
  /** One page of the audits, the newest first. */
  listAudits(options?: CallOptions & shapes.AuditsQuery): Promise<shapes.AuditPage>;
  /** An audit with one page of its findings. */
  getAudit(
    id: string,
    options?: CallOptions & shapes.FindingsQuery,
  ): Promise<shapes.AuditWithFindings>;
  /** Resolves when an audit is done, with the first page of its findings. */
  waitForAudit(id: string, options?: WaitOptions): Promise<shapes.AuditWithFindings>;
  /** All audits, the newest first. */
  audits(
    options?: CallOptions & shapes.AuditsQuery,
  ): AsyncGenerator<shapes.Audit, void, undefined>;
  /** All findings of an audit that is done. */
  auditFindings(
    id: string,
    options?: CallOptions & shapes.FindingsQuery,
  ): AsyncGenerator<shapes.AuditFinding, void, undefined>;
}

/**
 * Makes a client; nothing is sent before its first call.
 *
 * @throws {TypeError} for a setting that can't be right
 */
export function createClient(options: ClientOptions): LotlineClient {
  const baseUrl = baseOf(options);
  const { fetch = (request) => globalThis.fetch(request), retries = 4, timeoutMs = 30_000 } =
    options;
  if (!Number.isInteger(retries) || retries < 0) {
    throw new TypeError("retries must be a whole number from 0 on");
  }
  // Timers take no more: https://developer.mozilla.org/docs/Web/API/Window/setTimeout
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31)) {
    throw new TypeError("timeoutMs must be more than 0 and less than 2147483648");
  }
  const session = new Session(async (login) => (await signIn(login, {})).token, options);
  const api = createApi<shapes.paths, "application/json">({
    baseUrl,
    fetch: createSend({ baseUrl, session, fetch, retries, timeoutMs }),
    pathSerializer: serializePath,
  });

  function signIn(body: Credentials, { signal }: CallOptions): Promise<shapes.Session> {
    return dataOf(api.POST("/api/login", { body: { ...body }, signal }));
  }

  const client: LotlineClient = {
    api,

    getHealth: ({ signal } = {}) => dataOf(api.GET("/api/health", { signal })),

    async login(credentials, options = {}) {
      const pending = await signIn(credentials, options);
      session.start(credentials, pending.token);
      return pending;
    },
    async logout({ signal } = {}) {
      const token = await session.end();
      if (token === undefined) return;
      const headers = { authorization: `Bearer ${token}` };
      const { response, error } = await settled(api.POST("/api/logout", { headers, signal }));
      // Of no worth any more already: an earlier try may have ended it, or time.
      if (!response.ok && response.status !== 401) throw errorOfResponse(response, error);
      session.forget();
    },

    getTraceability: (lotCode, { signal } = {}) =>
      dataOf(api.GET("/api/traceability/{lotCode}", { params: { path: { lotCode } }, signal })),
    createLot: (body, options = {}) => dataOf(api.POST("/api/lots", { body, ...posted(options) })),
    createQcDecision: (body, options = {}) =>
      dataOf(api.POST("/api/qc-decisions", { body, ...posted(options) })),

    createDeepTrace: (body, options = {}) =>
      dataOf(api.POST("/api/traces", { body, ...posted(options) })),
    getDeepTrace: (id, { signal, ...query } = {}) =>
      dataOf(api.GET("/api/traces/{id}", { params: { path: { id }, query }, signal })),
    async waitForDeepTrace(id, options = {}) {
      const { signal } = options;
      // A page of a large result each time would be a lot of work for one word.
      const readState = async () => (await client.getDeepTrace(id, { signal, limit: 1 })).state;
      await untilDone("trace", readState, options);
      return finished(await client.getDeepTrace(id, { signal }));
    },
    deepTracePages: (id, { cursor, ...options } = {}) =>
      pagesFrom(
        cursor,
        async (cursor) => finished(await client.getDeepTrace(id, { ...options, cursor })),
        ({ result }) => result,
      ),
    async *deepTraceLines(id, { signal } = {}) {
      const body = await dataOf(api.GET("/api/traces/{id}", {
        params: { path: { id } },
        headers: { accept: "application/x-ndjson" },
        parseAs: "stream",
        signal,
      }));
      if (body === null) throw new LotlineError("unreadable", "The response is empty");
      yield* readTraceLines(body, { signal, timeoutMs, baseUrl });
    },

    createAudit: (options = {}) => dataOf(api.POST("/api/audits", posted(options))),
    listAudits: ({ signal, ...query } = {}) =>
      dataOf(api.GET("/api/audits", { params: { query }, signal })),
    getAudit: (id, { signal, ...query } = {}) =>
      dataOf(api.GET("/api/audits/{id}", { params: { path: { id }, query }, signal })),
    async waitForAudit(id, options = {}) {
      const { signal } = options;
      const readState = async () => (await client.getAudit(id, { signal, limit: 1 })).state;
      await untilDone("audit", readState, options);
      return await client.getAudit(id, { signal });
    },
    async *audits({ cursor, ...options } = {}) {
      const read = (cursor: string | undefined) => client.listAudits({ ...options, cursor });
      for await (const { audits } of pagesFrom(cursor, read, (page) => page)) yield* audits;
    },
    async *auditFindings(id, { cursor, ...options } = {}) {
      const read = (cursor: string | undefined) => client.getAudit(id, { ...options, cursor });
      for await (const { state, findings } of pagesFrom(cursor, read, (page) => page)) {
        if (state !== "done") throw notDone("audit", state);
        yield* findings;
      }
    },
  };
  return client;
}

interface Result<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** What came with a success; throws the error that the response is otherwise. */
async function dataOf<T>(pending: Promise<Result<T>>): Promise<T> {
  const { data, error, response } = await settled(pending);
  if (!response.ok) throw errorOfResponse(response, error);
  if (data === undefined) throw new LotlineError("unreadable", "The response is empty");
  return data;
}

async function settled<T>(pending: Promise<Result<T>>): Promise<Result<T>> {
  try {
    return await pending;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw new LotlineError("unreadable", "The response is no JSON", { cause });
  }
}

function posted({ signal, idempotencyKey }: PostOptions) {
  return {
    signal,
    headers: idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey },
  };
}

function finished(trace: shapes.DeepTrace): shapes.FinishedDeepTrace {
  const { result, ...rest } = trace;
  if (result === null) throw notDone("trace", trace.state);
  return { ...rest, result };
}

// JavaScript may leave out what the types require, often a variable of the environment.
function baseOf(options: ClientOptions | undefined): string {
  const given: unknown = options?.baseUrl;
  if (given === undefined || given === null || given === "") {
    throw new TypeError('baseUrl is missing: createClient({ baseUrl: "http://127.0.0.1:8000" })');
  }
  const text = String(given);
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    throw new TypeError(
      `baseUrl must be a URL with http:// or https://, not ${JSON.stringify(text)}`,
    );
  }
  const { href, search, hash, username, password } = new URL(text);
  // The URL is not repeated: a user's password may be in it.
  if (search !== "" || hash !== "" || username !== "" || password !== "") {
    throw new TypeError("baseUrl must have no user, no query and no fragment");
  }
  return withoutSlashes(href);
}

/** `/\/+$/` would look at a row of slashes in the middle once for each of them. */
function withoutSlashes(href: string): string {
  let end = href.length;
  while (href[end - 1] === "/") end--;
  return href.slice(0, end);
}

/** An empty parameter, or dots, would make it the address of something else. */
function serializePath(template: string, parameters: Record<string, unknown>): string {
  for (const [name, value] of Object.entries(parameters)) {
    if (/^\.{0,2}$/.test(String(value))) {
      throw new TypeError(`${name} can't be ${JSON.stringify(value)}: that has no address`);
    }
  }
  return defaultPathSerializer(template, parameters);
}
