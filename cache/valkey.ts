import { createClient, ErrorReply } from "redis";
import { describeError, limitRepeats, type Log } from "../log.ts";

/** What a piece of work asks Valkey with. */
export type ValkeyClient = ReturnType<typeof newClient>;

/** The link to Valkey. The service runs without it: slower, not wrong. */
export interface Valkey {
  /** Whether Valkey can be used now, as it shows within half a second. */
  answers(): Promise<boolean>;
  /**
   * Why Valkey can't be used now, undefined when it can: `unreachable`, `silent`, or its own word for
   * the state that it refuses to work in, in small letters: `readonly` (it is a replica), `loading` …
   */
  problem(): Promise<string | undefined>;
  /**
   * What `work` gives, or nothing when Valkey is away, refuses it or is silent for `patienceMs`, half
   * a second unless said. Once it is silent, all else is told "nothing" at once until it speaks again: a black hole costs
   * half a second once, not with every request. Work that had no answer may have been done all the
   * same. Never throws.
   */
  attempt<T>(
    work: (client: ValkeyClient) => Promise<T>,
    patienceMs?: number,
  ): Promise<T | undefined>;
  /** Another number with each connection that was made: what was known of Valkey may be over. */
  readonly connection: number;
  close(): void;
}

const ANSWER_MS = 500;
/** Between two tries to connect, in ms: twice as long each time. */
const RETRY_MS = { first: 50, longest: 2_000 };
/** A connection that was good for so long, in ms, is followed by another at once. */
const STEADY_MS = 10_000;
/** After this long a silent connection is given up for a new one, in ms: its route may be lost. */
const GIVE_UP_MS = 2_000;
/** A connection with nothing to say says PING, so that one that breaks meanwhile is noticed. */
const PING_MS = 1_000;

/** Written again and again to see whether Valkey takes what it is given; it goes by itself. */
const PROBE = { key: "lotline:probe", everyMs: 2_000, keepMs: 60_000 };

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
  const say = limitRepeats(log, now);
  let connection = 0;
  /** Why it can't be used; a connection can when it has taken the probe. */
  let reason: string | undefined = "unreachable";
  let isTold = false;
  const isAway = (why: string, error: unknown) => {
    reason = why;
    const fields = { reason: why, error: describeError(error) };
    isTold = say(why, "warn", "valkey_down", fields) || isTold;
  };

  let tries = 0;
  let provenAt = -Infinity;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const begin = () => {
    connection++;
    provenAt = now();
    reason = undefined;
    if (isTold) log("info", "valkey_up");
    isTold = false;
  };
  /** Gives up a connection to a Valkey that refuses to work, and tries another after a while. */
  const leave = (left: ValkeyClient, error: ErrorReply) => {
    if (left !== client || !left.isOpen) return;
    isAway(wordOf(error), error);
    speaks();
    left.destroy();
    if (now() - provenAt > STEADY_MS) tries = 0;
    retry = setTimeout(() => client = open(), pauseBefore(tries++));
  };
  const open = () => {
    const opened = newClient(url);
    const isCurrent = () => opened === client;
    opened.on("error", (error) => {
      if (isCurrent()) isAway(error instanceof ErrorReply ? wordOf(error) : "unreachable", error);
    });
    opened.on("ready", () => {
      probe(opened).then(() => isCurrent() && begin(), (error) => {
        // A lost connection is told by its own event.
        if (error instanceof ErrorReply) leave(opened, error);
      });
    });
    // A first connection that fails is told by the error event as well.
    opened.connect().catch(() => {});
    return opened;
  };

  let client = open();
  let silent: { readonly giveUp: ReturnType<typeof setTimeout> } | undefined;
  const speaks = () => {
    clearTimeout(silent?.giveUp);
    silent = undefined;
  };
  const fallsSilent = (asked: Promise<unknown>) => {
    const giveUp = setTimeout(() => {
      isAway("silent", new Error(`no answer in ${ANSWER_MS + GIVE_UP_MS} ms`));
      client.destroy();
      client = open();
      silent = undefined;
    }, GIVE_UP_MS);
    const mine = silent = { giveUp };
    // An answer that comes late is an answer; so is a connection that ends.
    const late = () => mine === silent && speaks();
    asked.then(late, late);
  };

  const attempt = async <T>(
    work: (client: ValkeyClient) => Promise<T>,
    patienceMs = ANSWER_MS,
  ): Promise<T | undefined> => {
    const used = client;
    if (reason !== undefined || !used.isReady || silent) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), patienceMs);
    });
    let isAnswered = false;
    const asked = work(used).catch((error) => {
      // A lost connection is told by its own event; a refusal would never be seen otherwise.
      if (!(error instanceof ErrorReply)) return undefined;
      if (STATE.test(error.message)) leave(used, error);
      else {
        const fields = { error: describeError(error) };
        say(`refused ${wordOf(error)}`, "warn", "valkey_command_refused", fields);
      }
      return undefined;
    }).finally(() => isAnswered = true);
    try {
      const answer = await Promise.race([asked, silence]);
      if (!isAnswered && !silent) fallsSilent(asked);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  };

  // A Valkey that has become a replica still answers: nobody would notice who only reads.
  const probing = setInterval(() => attempt(probe), PROBE.everyMs);
  const problem = async () => await attempt(probe) === undefined ? reason ?? "silent" : undefined;
  return {
    answers: async () => await problem() === undefined,
    problem,
    attempt,
    get connection() {
      return connection;
    },
    close: () => {
      clearInterval(probing);
      clearTimeout(retry);
      speaks();
      client.destroy();
    },
  };
}

const probe = (client: ValkeyClient) =>
  client.set(PROBE.key, "1", { expiration: { type: "PX", value: PROBE.keepMs } });

/** The word for the kind of a refusal, in small letters: `readonly`, `err`. */
function wordOf({ message }: ErrorReply): string {
  return (STATE.exec(message)?.[1] ?? /^[A-Z]{1,30}/.exec(message)?.[0] ?? "refused").toLowerCase();
}

function pauseBefore(tries: number): number {
  return Math.min(RETRY_MS.first * 2 ** Math.min(tries, 6), RETRY_MS.longest);
}

function newClient(url: string) {
  return createClient({
    url: url.replace(/^valkey:/, "redis:"),
    // A command for a Valkey that's away must fail now, not wait in a queue for its return.
    disableOfflineQueue: true,
    pingInterval: PING_MS,
    // No time limit of the client's own, `attempt` has one: its is a signal for each command that goes
    // off seconds after the answer, as an error with a stack, and is kept until then.
    commandOptions: { timeout: 0 },
    socket: {
      connectTimeout: ANSWER_MS,
      // Without it a connection that is silent from the start, while it says hello, stays for ever.
      socketTimeout: PING_MS + GIVE_UP_MS,
      // The default strategy gives up for good after some errors.
      reconnectStrategy: pauseBefore,
    },
  });
}
