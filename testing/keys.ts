import { join } from "node:path";
import { createKeyFile, type SigningKeys } from "../auth/keys.ts";
import type { WatchedKeys } from "../auth/watched_keys.ts";

/**
 * A way to make key files for the tests of the file that calls this; they go after the last of them.
 * Each call makes another file, and gives its path.
 */
export async function keyFiles(): Promise<() => Promise<string>> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
  return async () => {
    const path = join(folder, `${crypto.randomUUID()}.json`);
    await createKeyFile(path);
    return path;
  };
}

/** Keys that no file is behind: they change only when a look is asked for, to what `look` gives. */
export function keysAtHand(first: SigningKeys, look = (): SigningKeys => first): WatchedKeys {
  let keys = first;
  return {
    current: () => keys,
    refresh: () => Promise.resolve(void (keys = look())),
    [Symbol.dispose]: () => {},
  };
}
