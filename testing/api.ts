import { join } from "node:path";
import { createKeyFile } from "../auth/keys.ts";
import { freshDatabase, type TestDatabase } from "./database.ts";
import type { LineReader } from "./lines.ts";
import { startTask } from "./task_process.ts";

/** The API in its own process, started as `deno task start` starts it. */
export interface TestApi extends AsyncDisposable {
  readonly url: string;
  readonly database: TestDatabase | undefined;
  readonly process: Deno.ChildProcess;
  /** The file with the keys that it signs with. */
  readonly keyFile: string;
  /** Its whole log so far, one JSON object a line. */
  readonly log: LineReader;
  /** Sends a request; the path is sent as written. */
  send(path: string, init: RequestInit): Promise<TestResponse>;
  get(path: string, headers?: HeadersInit): Promise<TestResponse>;
  post(path: string, body: unknown, headers?: HeadersInit): Promise<TestResponse>;
}

/** A response, read to its end. */
export interface TestResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // deno-lint-ignore no-explicit-any -- tests compare it with literals
  readonly json: any;
}

/** Longer than any response takes on a busy machine. */
const RESPONSE_TIMEOUT_MS = 120_000;

/** The settings of `AUTH_MODE=required` that have no default. */
export const REQUIRED = { AUTH_MODE: "required", CORS_ORIGINS: "none" } as const;

/**
 * Starts the API on a free port, with a new database and key file unless given. Its mode is
 * `legacy` unless the environment sets another.
 */
export async function startApi(
  options: {
    databaseUrl?: string;
    keyFile?: string;
    environment?: Record<string, string>;
    /** The tree of another version. */
    root?: URL;
    /** A file that runs in its process first. */
    preload?: string;
  } = {},
): Promise<TestApi> {
  const database = options.databaseUrl === undefined ? await freshDatabase() : undefined;
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  const keyFile = options.keyFile ?? join(folder, "keys.json");
  if (options.keyFile === undefined) await createKeyFile(keyFile);
  const started = await startTask({
    task: "start",
    env: {
      PORT: "0",
      AUTH_MODE: "legacy",
      DATABASE_URL: options.databaseUrl ?? database?.url ?? "",
      JWT_KEYS_FILE: keyFile,
      ...options.environment,
    },
    isReady: (line) => line.includes('"event":"listening"'),
    ...options.root && { root: options.root },
    preload: options.preload,
  });
  const { process, log } = started;
  const listening = JSON.parse(started.readyLine);
  const url = `http://127.0.0.1:${listening.port}`;
  const send = async (path: string, init: RequestInit): Promise<TestResponse> => {
    const late = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
    const response = await fetch(url + path, { ...init, signal });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson && text !== "" ? JSON.parse(text) : undefined,
    };
  };
  return {
    url,
    database,
    keyFile,
    process,
    log,
    send,
    get: (path, headers = {}) => send(path, { headers }),
    post: (path, body, headers = {}) =>
      send(path, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...Object.fromEntries(new Headers(headers)),
        },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    [Symbol.asyncDispose]: async () => {
      await started[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
      await database?.[Symbol.asyncDispose]();
    },
  };
}
