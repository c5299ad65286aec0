import { X509Certificate } from "node:crypto";
import { createClient, ErrorReply } from "redis";
import { ConfigError } from "../config.ts";
import type { DatabaseIdentity } from "../db/identity.ts";
import { describeError, limitRepeats, type Log } from "../log.ts";
import { withDeadline } from "../timing.ts";
import { parseValkeyAddress, type ValkeyAddress } from "./address.ts";
import { isTracing } from "../telemetry/tracing.ts";
import { tracedCommand } from "./command_span.ts";

type ValkeyClient = ReturnType<typeof newClient>;

/** The connection to Valkey. Without it the service is slower, but correct. */
export interface Valkey {
  /** Whether Valkey can be used now. */
  isUsable(): Promise<boolean>;
  /**
   * Why Valkey can't be used now, undefined when it can: `unreachable`, `silent`, `cluster` (it keeps
   * only a part of the keys), `shared` (the processes of another database use it), or Valkey's own word
   * in lower case: `readonly` (it is a replica), `loading` …
   */
  problem(): Promise<string | undefined>;
  /**
   * The result of `work`, or nothing when Valkey is unavailable, refuses it or doesn't respond within
   * `timeoutMs`, half a second by default. After a timeout all calls return nothing at once until it
   * responds again: a broken network costs half a second once, not with every request. Work without a
   * response may have been executed. Never throws.
   */
  tryCommand<T>(
    work: (client: ValkeyClient) => Promise<T>,
    timeoutMs?: number,
  ): Promise<T | undefined>;
  /** Changes with each new connection, on which Valkey's contents may be other ones. */
  readonly connection: number;
  /** The database for whose processes alone Valkey works; undefined: not known yet. */
  readonly database: string | undefined;
  close(): void;
}

const RESPONSE_TIMEOUT_MS = 500;
/** The pause between two tries to connect, in ms, doubled each time. */
const RETRY_MS = { first: 50, max: 2_000 };
/** A connection that worked for so long is followed by another without a pause, in ms. */
const STEADY_MS = 10_000;
/** How long after a timeout a silent connection is replaced, in ms: its route may be lost. */
const RECONNECT_AFTER_MS = 2_000;
/** An idle connection sends PING, so that a lost one is noticed. */
const PING_MS = 1_000;

/** Written regularly to check that Valkey accepts writes. */
const PROBE = { key: "lotline:probe", everyMs: 2_000, ttlMs: 60_000 };

/**
 * The database whose processes use Valkey, each of which says so with its probes. Keys name lots,
 * accounts and jobs of one database: the processes of another one must keep away.
 */
const OWNER = { key: "lotline:database", ttlMs: 10_000 };
const CLAIM = `
  local owner = redis.call('GET', KEYS[1])
  if owner and owner ~= ARGV[1] then
    return redis.error_reply('SHARED the processes of another database use this server')
  end
  return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`;

/**
 * States in which Valkey refuses valid commands: it became a replica, is loading, can't write to its
 * disk, or has another password. A new connection may reach another server at the same address.
 */
const STATES = "READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|MOVED|ASK|NOREPLICAS|MISCONF|OOM|NOAUTH|" +
  "WRONGPASS|BUSY|UNBLOCKED|TRYAGAIN|SHARED";
/** What the servers of a cluster reply, none of which has all keys. */
const CLUSTER = new Set(["CLUSTERDOWN", "MOVED", "ASK"]);
// Redis 6 quotes the error of a script's command in its own.
const STATE = new RegExp(`^(?:ERR Error running script .{0,500}? -)?(${STATES})\\b`, "s");

interface ConnectOptions {
  /** The path of the certificates that the server's is checked with, instead of the runtime's. */
  readonly caFile?: string | undefined;
  /** The database whose processes may share Valkey's keys. By default all processes may. */
  readonly database?: Pick<DatabaseIdentity, "current" | "known">;
  /** A monotonic clock, in ms. */
  readonly now?: () => number;
}

/**
 * Connects in the background, again and again; returns at once.
 *
 * @throws {ConfigError} the certificates can't be read
 */
export function connectValkey(
  url: string,
  log: Log,
  { caFile, database, now = () => performance.now() }: ConnectOptions = {},
): Valkey {
  const address = parseValkeyAddress(url);
  const ca = caFile === undefined ? undefined : readCertificates(caFile, address);
  const logLimited = limitRepeats(log, now);
  let connection = 0;
  let claimed: string | undefined;
  /** Why it can't be used; it can when a new connection has accepted the probe. */
  let reason: string | undefined = "unreachable";
  let isLogged = false;
  const markDown = (why: string, error: unknown) => {
    reason = why;
    const fields = { reason: why, error: describeError(error) };
    isLogged = logLimited(why, "warn", "valkey_down", fields) || isLogged;
  };

  let tries = 0;
  let provenAt = -Infinity;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const markUp = () => {
    connection++;
    provenAt = now();
    reason = undefined;
    if (isLogged) log("info", "valkey_up");
    isLogged = false;
  };
  /** Closes a connection to a Valkey that refuses to work, and opens another after a pause. */
  const reconnectLater = (failed: ValkeyClient, error: ErrorReply) => {
    if (failed !== client || !failed.isOpen) return;
    markDown(wordOf(error), error);
    onResponse();
    failed.destroy();
    if (now() - provenAt > STEADY_MS) tries = 0;
    retry = setTimeout(() => client = open(), delayBefore(tries++));
  };
  const probe = async (client: ValkeyClient) => {
    const owner = database === undefined ? "" : database.current;
    // Both are sent at once.
    const [accepted] = await Promise.all([setProbe(client), owner && claim(client, owner)]);
    claimed = owner;
    return accepted;
  };
  const open = () => {
    const opened = newClient(address, ca);
    const isCurrent = () => opened === client;
    opened.on("error", (error) => {
      if (isCurrent()) markDown(error instanceof ErrorReply ? wordOf(error) : "unreachable", error);
    });
    opened.on("ready", () => {
      probe(opened).then(() => isCurrent() && markUp(), (error) => {
        // A lost connection has an event of its own.
        if (error instanceof ErrorReply) reconnectLater(opened, error);
      });
    });
    // A failed first connection has an error event too.
    opened.connect().catch(() => {});
    return opened;
  };

  let client = open();
  let unresponsive: { readonly reconnect: ReturnType<typeof setTimeout> } | undefined;
  const onResponse = () => {
    clearTimeout(unresponsive?.reconnect);
    unresponsive = undefined;
  };
  const onTimeout = (pending: Promise<unknown>) => {
    const reconnect = setTimeout(() => {
      markDown("silent", new Error(`no answer in ${RESPONSE_TIMEOUT_MS + RECONNECT_AFTER_MS} ms`));
      client.destroy();
      client = open();
      unresponsive = undefined;
    }, RECONNECT_AFTER_MS);
    const current = unresponsive = { reconnect };
    // A late response is a response; so is the end of the connection.
    const onLateResponse = () => current === unresponsive && onResponse();
    pending.then(onLateResponse, onLateResponse);
  };

  const tryCommand = async <T>(
    work: (client: ValkeyClient) => Promise<T>,
    timeoutMs = RESPONSE_TIMEOUT_MS,
  ): Promise<T | undefined> => {
    const used = client;
    if (reason !== undefined || !used.isReady || unresponsive) return undefined;
    let isSettled = false;
    const pending = (isTracing ? tracedCommand(work, used) : work(used)).catch((error) => {
      // A lost connection has an event of its own; a refusal has none.
      if (!(error instanceof ErrorReply)) return undefined;
      if (STATE.test(error.message)) reconnectLater(used, error);
      else {
        const fields = { error: describeError(error) };
        logLimited(`refused ${wordOf(error)}`, "warn", "valkey_command_refused", fields);
      }
      return undefined;
    }).finally(() => isSettled = true);
    const result = await withDeadline(pending, timeoutMs, () => undefined);
    if (!isSettled && !unresponsive) onTimeout(pending);
    return result;
  };

  // A Valkey that has become a replica still serves reads: only a write shows it.
  const probing = setInterval(() => tryCommand(probe), PROBE.everyMs);
  database?.known.then(() => tryCommand(probe));
  const problem = async () =>
    await tryCommand(probe) === undefined ? reason ?? "silent" : undefined;
  return {
    isUsable: async () => await problem() === undefined,
    problem,
    tryCommand,
    get connection() {
      return connection;
    },
    get database() {
      return claimed;
    },
    close: () => {
      clearInterval(probing);
      clearTimeout(retry);
      onResponse();
      client.destroy();
    },
  };
}

const setProbe = (client: ValkeyClient) =>
  client.set(PROBE.key, "1", { expiration: { type: "PX", value: PROBE.ttlMs } });

/** Refused while the processes of another database use Valkey. */
const claim = (client: ValkeyClient, database: string) =>
  client.eval(CLAIM, { keys: [OWNER.key], arguments: [database, String(OWNER.ttlMs)] });

/** The word for the kind of a refusal, in lower case: `readonly`, `err`. */
function wordOf({ message }: ErrorReply): string {
  const word = STATE.exec(message)?.[1] ?? /^[A-Z]{1,30}/.exec(message)?.[0] ?? "refused";
  return CLUSTER.has(word) ? "cluster" : word.toLowerCase();
}

function delayBefore(tries: number): number {
  return Math.min(RETRY_MS.first * 2 ** Math.min(tries, 6), RETRY_MS.max);
}

function readCertificates(path: string, { tls }: ValkeyAddress): string {
  if (!tls) throw new ConfigError("VALKEY_CA_FILE needs a VALKEY_URL that begins with rediss://");
  const text = readText(path);
  try {
    new X509Certificate(text);
    return text;
  } catch (cause) {
    throw new ConfigError("VALKEY_CA_FILE holds no certificate in PEM form", { cause });
  }
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.name : "unknown";
    throw new ConfigError(`VALKEY_CA_FILE names a file that can't be read: ${why}`, { cause });
  }
}

function newClient({ tls, host, port, user, password, database }: ValkeyAddress, ca?: string) {
  return createClient({
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
    database,
    // Without a connection a command must fail at once instead of waiting in a queue.
    disableOfflineQueue: true,
    pingInterval: PING_MS,
    // `tryCommand` has its own timeout. The client's would keep a signal for each command, and throw an
    // error with a stack seconds after the response.
    commandOptions: { timeout: 0 },
    socket: {
      host,
      port,
      ...(tls && { tls, ...(ca !== undefined && { ca }) }),
      connectTimeout: RESPONSE_TIMEOUT_MS,
      // Without it a connection without a response to HELLO would stay for ever.
      socketTimeout: PING_MS + RECONNECT_AFTER_MS,
      // The default strategy stops for ever after some errors.
      reconnectStrategy: delayBefore,
    },
  });
}
