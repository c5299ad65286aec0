import { FRESH_MS } from "../cache/trace_cache.ts";
import type { Sql } from "../db/sql.ts";
import { delay } from "../timing.ts";

/*
 * Clients of the five old operations that go on while processes are replaced, and check what they get.
 */

interface LoadOptions {
  /** To change lots as the old server does. */
  readonly sql: Sql;
  /** Where the requests go. */
  readonly url: string;
  readonly email: string;
  /** Absent: `AUTH_MODE=legacy`. */
  readonly password?: string;
  /** Whether writes have an `Idempotency-Key` in turn, which the old server doesn't know. */
  readonly hasKeys?: boolean;
}

/** What was sent and acknowledged until now. */
export interface RollingLoad extends AsyncDisposable {
  /** By operation; `replay` for requests that came again with their key. */
  readonly counts: Readonly<Record<string, number>>;
  /** What went wrong. */
  readonly failures: readonly string[];
  /** Ids of the lots and decisions that were stored. */
  readonly stored: { readonly lots: readonly string[]; readonly decisions: readonly string[] };
  /** The requests until now. */
  total(): number;
  /** Ends the load; resolves when each request has its response. */
  stop(): Promise<void>;
}

interface Sent {
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly key: string;
  readonly text: string;
}

/** Clients that send one request after the other. */
const CLIENTS = 4;
const RESPONSE_TIMEOUT_MS = 30_000;
/** A login costs a hash, so they come less often than the rest. */
const LOGIN_EVERY_MS = 400;
/** A cached trace is at most FRESH_MS old. */
const STALE_AFTER_MS = FRESH_MS + 50;
/** Of a trace before and after a change, so that both versions have cached it. */
const READS = 3;
/** The pause between two requests of a client, in ms: the processes share two processors. */
const PAUSE_MS = 10;
const AFTER_FAILURE_MS = 1_000;

/** Starts the load; resolves after its first login. */
export async function startRollingLoad(
  { sql, url, email, password, hasKeys = true }: LoadOptions,
): Promise<RollingLoad> {
  const counts: Record<string, number> = {};
  const failures: string[] = [];
  const stored = { lots: new Array<string>(), decisions: new Array<string>() };
  const keyed: Sent[] = [];
  const end = new AbortController();
  let bearer: Record<string, string> = {};

  const send = async (what: string, path: string, status: number, init: RequestInit = {}) => {
    counts[what] = (counts[what] ?? 0) + 1;
    const headers = { "content-type": "application/json", ...bearer, ...init.headers };
    try {
      const signal = AbortSignal.timeout(RESPONSE_TIMEOUT_MS);
      const response = await fetch(url + path, { ...init, headers, signal });
      const text = await response.text();
      if (response.status === status) return { text, headers: response.headers };
      failures.push(`${what}: ${response.status} ${text.slice(0, 200)}`);
    } catch (error) {
      failures.push(`${what}: ${error}`);
    }
    return undefined;
  };
  const post = (
    what: string,
    path: string,
    status: number,
    body: unknown,
    headers: Record<string, string> = {},
  ) => send(what, path, status, { method: "POST", body: JSON.stringify(body), headers });

  const logIn = async () => {
    const body = { email, ...password !== undefined && { password } };
    const response = await post("login", "/api/login", 200, body);
    const token = response && JSON.parse(response.text).token;
    if (token !== undefined) bearer = { authorization: `Bearer ${token}` };
  };
  const write = async (path: string, body: Readonly<Record<string, unknown>>, inTurn: boolean) => {
    const isKeyed = hasKeys && inTurn;
    const key = crypto.randomUUID();
    const what = path === "/api/lots" ? "createLot" : "createQcDecision";
    const response = await post(
      isKeyed ? `${what} with a key` : what,
      path,
      201,
      body,
      isKeyed ? { "idempotency-key": key } : {},
    );
    if (response === undefined) return undefined;
    const { id } = JSON.parse(response.text);
    (path === "/api/lots" ? stored.lots : stored.decisions).push(id);
    if (isKeyed) keyed.push({ path, body, key, text: response.text });
    return String(id);
  };
  /** The same request with its key gets the same response, also from the other version. */
  const replay = async () => {
    const first = keyed[Math.floor(Math.random() * keyed.length)];
    if (first === undefined) return;
    const { path, body, key, text } = first;
    const again = await post("replay", path, 201, body, { "idempotency-key": key });
    if (again !== undefined && again.text !== text) {
      failures.push(`replay: ${again.text} instead of ${text}`);
    }
  };
  const readTrace = async (code: string, weight: string) => {
    const response = await send("getTraceability", `/api/traceability/${code}`, 200);
    if (response === undefined || JSON.parse(response.text).central.weight_kg === weight) return;
    failures.push(`a trace of ${code} is stale: ${response.text}`);
  };

  const runClient = async (name: string) => {
    for (let n = 0; !end.signal.aborted; n++) {
      await send("getHealth", "/api/health", 200);
      const code = `ROLL-${name}-${n}`;
      const lot = await write("/api/lots", { lot_code: code, weight_kg: "1.50" }, n % 2 === 0);
      if (lot === undefined) {
        await delay(AFTER_FAILURE_MS, end.signal);
        continue;
      }
      for (let read = 0; read < READS; read++) await readTrace(code, "1.50");
      await write("/api/qc-decisions", { lot_id: lot, decision: "PASS" }, n % 2 === 1);
      await sql`update lots set weight_kg = '2.50' where id = ${lot}`;
      await delay(STALE_AFTER_MS);
      for (let read = 0; read < READS; read++) await readTrace(code, "2.50");
      await replay();
      await delay(PAUSE_MS);
    }
  };
  const logInAgain = async () => {
    while (!end.signal.aborted) {
      await logIn();
      await delay(LOGIN_EVERY_MS, end.signal);
    }
  };

  await logIn();
  const run = crypto.randomUUID().slice(0, 8);
  const running = Promise.all(
    [logInAgain(), ...Array.from({ length: CLIENTS }, (_, client) => runClient(`${run}-${client}`))]
      .map((client) => client.catch((error) => failures.push(String(error)))),
  );
  const stop = async () => {
    end.abort();
    await running;
  };
  return {
    counts,
    failures,
    stored,
    total: () => Object.values(counts).reduce((sum, count) => sum + count, 0),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
