import { describeError, type Log } from "../log.ts";
import { loadSigningKeys, type SigningKeys } from "./keys.ts";

/** The signing keys, as the key file has them now. */
export interface WatchedKeys extends Disposable {
  current(): SigningKeys;
  /** Looks at the file now; what it says is {@link WatchedKeys.current} when this resolves. */
  refresh(): Promise<void>;
}

/** How often the file is looked at, in ms. */
const CHECK_EVERY_MS = 1_000;

/**
 * Loads the key file and follows it: `deno task keys rotate` needs no restart. A file that can't be
 * used later (others can read it, it is broken or gone) leaves the keys of before in use, and says
 * so in the log.
 *
 * @throws {KeyFileError} when the file can't be used now
 */
export async function watchSigningKeys(path: string, log: Log): Promise<WatchedKeys> {
  let seen = await versionOf(path);
  let keys = await loadSigningKeys(path);

  const check = async () => {
    const version = await versionOf(path);
    if (version === seen && Date.now() < (keys.until ?? Infinity)) return;
    seen = version;
    try {
      keys = await loadSigningKeys(path);
      log("info", "signing_keys_loaded", { kid: keys.kid, keys: keys.published.keys.length });
    } catch (error) {
      log("error", "key_file_rejected", {
        error: describeError(error),
      });
    }
  };

  // Whoever asks gets a look that began after they asked; a flood of unknown keys is one at a time.
  let checking: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = () => checking = check().finally(() => checking = undefined);
  const refresh = (): Promise<void> => {
    if (checking === undefined) return start();
    return next ??= checking.then(() => {
      next = undefined;
      return start();
    });
  };

  const timer = setInterval(refresh, CHECK_EVERY_MS);
  Deno.unrefTimer(timer);
  return { current: () => keys, refresh, [Symbol.dispose]: () => clearInterval(timer) };
}

/** Another text whenever the file is another one, or may be. */
async function versionOf(path: string): Promise<string> {
  try {
    const { ino, size, mode, mtime } = await Deno.stat(path);
    return [ino, size, mode, mtime?.getTime()].join(" ");
  } catch {
    return "gone";
  }
}
