import { createClient, ErrorReply } from "redis";
import { describeError, limitRepeats, type Log } from "../log.ts";
import { withDeadline } from "../timing.ts";

/** What a piece of work asks Valkey with. */
export type ValkeyClient = ReturnType<typeof newClient>;

/** The link to Valkey. The service runs without it: slower, not wrong. */
export interface Valkey {
  /** Whether Valkey can be used now, as it shows within half a second. */
  isUsable(): Promise<boolean>;
  /**
   * Why Valkey can't be used now, undefined when it can: `unreachable`, `unresponsive`, or its own word for
   * the state that it refuses to work in, in small letters: `readonly` (it is a replica), `loading` …
   */
  problem(): Promise<string | undefined>;
  /**
   * What `work` gives, or nothing when Valkey is away, refuses it or is silent for `timeoutMs`, half
   * a second unless said. Once it is silent, all else is told "nothing" at once until it speaks again: a black hole costs
   * half a second once, not with every request. Work that had no answer may have been done all the
   * same. Never throws.
   */
  tryCommand<T>(
    work: (client: ValkeyClient) => Promise<T>,
    timeoutMs?: number,
  ): Promise<T | undefined>;
  /** Another number with each connection that was made: what was known of Valkey may be over. */
  readonly connection: number;
  close(): void;
}

const RESPONSE_TIMEOUT_MS = 500;
/** Between two tries to connect, in ms: twice as long each time. */
const RETRY_MS = { first: 50, max: 2_000 };
/** A connection that was good for so long, in ms, is followed by another at once. */
const STEADY_MS = 10_000;
/** After this long a silent connection is given up for a new one, in ms: its route may be lost. */
const RECONNECT_AFTER_MS = 2_000;
/** A connection with nothing to say says PING, so that one that breaks meanwhile is noticed. */
const PING_MS = 1_000;

/** Written again and again to see whether Valkey takes what it is given; it goes by itself. */
const PROBE = { key: "lotline:probe", everyMs: 2_000, ttlMs: 60_000 };

/**
 * States in which Valkey refuses what it did before, or would do elsewhere: a replica that was a
 * master, one that loads or can't write to its disk, a password that was changed. Another connection
 * may lead to one that works, since an address may name another server by then.
 */
const STATES = "READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|MISCONF|OOM|NOAUTH|WRONGPASS|" +
  "BUSY|UNBLOCKED|TRYAGAIN";
// Redis 6 quotes the error of a script's command in its own.
const STATE = new RegExp(`^(?:ERR Error running script .{0,500}? -)?(${STATES})\\b`, "s");

/**
 * Connects in the background and goes on trying; returns at once, whether Valkey is there or not.
 *
 * @param now a clock that never goes back, in ms
 */
export function connectValkey(
  url: string,
  log: Log,
  now: () => number = () => performance.now(),
): Valkey {
  const logLimited = limitRepeats(log, now);
  let connection = 0;
  /** Why it can't be used; a connection can when it has taken the probe. */
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
  /** Gives up a connection to a Valkey that refuses to work, and tries another after a while. */
  const reconnectLater = (failed: ValkeyClient, error: ErrorReply) => {
    if (failed !== client || !failed.isOpen) return;
    markDown(wordOf(error), error);
    onResponse();
    failed.destroy();
    if (now() - provenAt > STEADY_MS) tries = 0;
    retry = setTimeout(() => client = open(), delayBefore(tries++));
  };
  const open = () => {
    const opened = newClient(url);
    const isCurrent = () => opened === client;
    opened.on("error", (error) => {
      if (isCurrent()) markDown(error instanceof ErrorReply ? wordOf(error) : "unreachable", error);
    });
    opened.on("ready", () => {
      probe(opened).then(() => isCurrent() && markUp(), (error) => {
        // A lost connection is told by its own event.
        if (error instanceof ErrorReply) reconnectLater(opened, error);
      });
    });
    // A first connection that fails is told by the error event as well.
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
    // An answer that comes late is an answer; so is a connection that ends.
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
    const pending = work(used).catch((error) => {
      // A lost connection is told by its own event; a refusal would never be seen otherwise.
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

  // A Valkey that has become a replica still answers: nobody would notice who only reads.
  const probing = setInterval(() => tryCommand(probe), PROBE.everyMs);
  const problem = async () =>
    await tryCommand(probe) === undefined ? reason ?? "silent" : undefined;
  return {
    isUsable: async () => await problem() === undefined,
    problem,
    tryCommand,
    get connection() {
      return connection;
    },
    close: () => {
      clearInterval(probing);
      clearTimeout(retry);
      onResponse();
      client.destroy();
    },
  };
}

const probe = (client: ValkeyClient) =>
  client.set(PROBE.key, "1", { expiration: { type: "PX", value: PROBE.ttlMs } });

/** The word for the kind of a refusal, in small letters: `readonly`, `err`. */
function wordOf({ message }: ErrorReply): string {
  return (STATE.exec(message)?.[1] ?? /^[A-Z]{1,30}/.exec(message)?.[0] ?? "refused").toLowerCase();
}

function delayBefore(tries: number): number {
  return Math.min(RETRY_MS.first * 2 ** Math.min(tries, 6), RETRY_MS.max);
}

function newClient(url: string) {
  return createClient({
    url: url.replace(/^valkey:/, "redis:"),
    // A command for a Valkey that's away must fail now, not wait in a queue for its return.
    disableOfflineQueue: true,
    pingInterval: PING_MS,
    // No time limit of the client's own, `tryCommand` has one: its is a signal for each command that goes
    // off seconds after the answer, as an error with a stack, and is kept until then.
    commandOptions: { timeout: 0 },
    socket: {
      connectTimeout: RESPONSE_TIMEOUT_MS,
      // Without it a connection that is silent from the start, while it says hello, stays for ever.
      socketTimeout: PING_MS + RECONNECT_AFTER_MS,
      // The default strategy gives up for good after some errors.
      reconnectStrategy: delayBefore,
    },
  });
}
