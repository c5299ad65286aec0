import { describeError, type Log } from "../log.ts";
import { loadSigningKeys, type SigningKeys } from "./keys.ts";

export type WatchedKeys = Awaited<ReturnType<typeof watchSigningKeys>>;

/** The interval between checks of the file, in ms. */
const CHECK_EVERY_MS = 1_000;

/**
 * Loads the key file and follows it: `deno task keys rotate` needs no restart. When the file
 * becomes unusable (readable by others, broken or missing), the previous keys stay in use, and the
 * log reports it.
 *
 * @throws {KeyFileError} the file is unusable now
 */
export async function watchSigningKeys(path: string, log: Log) {
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
      log("error", "key_file_rejected", { error: describeError(error) });
    }
  };

  // A caller gets a check that begins after the call; a flood of unknown keys causes one check at a
  // time.
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
  return {
    current: (): SigningKeys => keys,
    /** Reads the file now; `current` is up to date when this resolves. */
    refresh,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

/**
 * Changes whenever the file may have changed, or who may read it. The file is that at the end of the
 * links: a platform swaps a mounted secret by pointing one to another folder.
 */
async function versionOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mode, mtime, ctime } = await Deno.stat(path);
    return [dev, ino, size, mode, mtime?.getTime(), ctime?.getTime()].join(" ");
  } catch {
    return "gone";
  }
}
