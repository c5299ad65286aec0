import { createClient, ErrorReply } from "redis";
import { describeError, type Log } from "../log.ts";

/** What a piece of work asks Valkey with. */
export type ValkeyClient = ReturnType<typeof newClient>;

/** The link to Valkey. The service runs without it: slower, not wrong. */
export interface Valkey {
  /** Whether Valkey answers now, within half a second. */
  answers(): Promise<boolean>;
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
const LONGEST_WAIT_MS = 2_000;
/** After this long a silent connection is given up for a new one, in ms: its route may be lost. */
const GIVE_UP_MS = 2_000;
/** A connection with nothing to say says PING, so that one that breaks meanwhile is noticed. */
const PING_MS = 1_000;

/** Connects in the background and goes on trying; returns at once, whether Valkey is there or not. */
export function connectValkey(url: string, log: Log): Valkey {
  let isAway = false;
  const tellAway = (error: unknown) => {
    if (!isAway) log("warn", "valkey is away", { error: describeError(error) });
    isAway = true;
  };
  let connection = 0;
  const begin = () => {
    connection++;
    if (isAway) log("info", "valkey is back");
    isAway = false;
  };
  const open = () => {
    const opened = newClient(url);
    opened.on("error", tellAway);
    opened.on("ready", begin);
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
      tellAway(new Error(`no answer in ${ANSWER_MS + GIVE_UP_MS} ms`));
      client.destroy();
      client = open();
      silent = undefined;
    }, GIVE_UP_MS);
    const mine = silent = { giveUp };
    // An answer that comes late is an answer; so is a connection that ends.
    const late = () => mine === silent && speaks();
    asked.then(late, late);
  };

  let refusals = 0;
  const attempt = async <T>(
    work: (client: ValkeyClient) => Promise<T>,
    patienceMs = ANSWER_MS,
  ): Promise<T | undefined> => {
    if (!client.isReady || silent) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), patienceMs);
    });
    let isAnswered = false;
    const asked = work(client).then((answer) => {
      refusals = 0;
      return answer;
    }, (error) => {
      // A lost connection is told by its own event; a refusal would never be seen otherwise.
      if (error instanceof ErrorReply && refusals++ === 0) {
        log("warn", "valkey refused a command", { error: describeError(error) });
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

  return {
    answers: async () => await attempt((client) => client.ping()) !== undefined,
    attempt,
    get connection() {
      return connection;
    },
    close: () => {
      speaks();
      client.destroy();
    },
  };
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
      reconnectStrategy: (retries) => Math.min(50 * 2 ** Math.min(retries, 6), LONGEST_WAIT_MS),
    },
  });
}
