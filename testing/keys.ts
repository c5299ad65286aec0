import { join } from "node:path";
import { createKeyFile, type SigningKeys } from "../auth/keys.ts";
import type { WatchedKeys } from "../auth/watched_keys.ts";

/**
 * Returns a function that makes key files for the tests of the calling file; they are removed after
 * the last of them. Each call makes another file, and returns its path.
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

/** The ids of a key file's keys, in its order. */
export async function keyIdsIn(path: string): Promise<string[]> {
  const { keys } = JSON.parse(await Deno.readTextFile(path));
  return keys.map(({ kid }: { kid: string }) => kid);
}

/** Keys without a file: they change only on a requested read, to the result of `look`. */
export function keysInMemory(first: SigningKeys, look = (): SigningKeys => first): WatchedKeys {
  let keys = first;
  return {
    current: () => keys,
    refresh: () => Promise.resolve(void (keys = look())),
    [Symbol.dispose]: () => {},
  };
}
