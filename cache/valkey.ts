import { createClient } from "redis";
import { describeError, type Log } from "../log.ts";

/** The link to Valkey. The service runs without it: slower, not wrong. */
export interface Valkey {
  /** Whether Valkey answers now, within half a second. */
  answers(): Promise<boolean>;
  close(): void;
}

const ANSWER_MS = 500;
const LONGEST_WAIT_MS = 2_000;

/** Connects in the background and goes on trying; returns at once, whether Valkey is there or not. */
export function connectValkey(url: string, log: Log): Valkey {
  const client = createClient({
    url: url.replace(/^valkey:/, "redis:"),
    // A command for a Valkey that's away must fail now, not wait in a queue for its return.
    disableOfflineQueue: true,
    socket: {
      connectTimeout: ANSWER_MS,
      // The default strategy gives up for good after some errors.
      reconnectStrategy: (retries) => Math.min(50 * 2 ** Math.min(retries, 6), LONGEST_WAIT_MS),
    },
  });
  let away = false;
  client.on("error", (error) => {
    if (!away) log("warn", "valkey is away", { error: describeError(error) });
    away = true;
  });
  client.on("ready", () => {
    if (away) log("info", "valkey is back");
    away = false;
  });
  // A first connection that fails is told by the error event as well.
  client.connect().catch(() => {});
  return { answers: () => ping(client), close: () => client.destroy() };
}

async function ping(client: { isReady: boolean; ping(): Promise<string> }): Promise<boolean> {
  if (!client.isReady) return false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ANSWER_MS);
  });
  const pong = client.ping().then(() => true, () => false);
  try {
    return await Promise.race([pong, silence]);
  } finally {
    clearTimeout(timer);
  }
}
