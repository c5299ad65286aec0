import { join } from "node:path";
import { openForServers } from "../dev/state_folder.ts";

const PAGE = 8_192;

/** A disk of a few megabytes. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Takes all room that is left, by a file that isn't PostgreSQL's. */
  fill(): Promise<void>;
  /** Gives so many megabytes of it back. */
  free(megabytes: number): Promise<void>;
}

/**
 * Makes a disk of so many megabytes, in memory. Undefined where this machine lets nobody mount, as in
 * most containers.
 */
export async function smallDisk(megabytes: number): Promise<SmallDisk | undefined> {
  const path = await Deno.makeTempDir({ prefix: "lotline-test-" });
  const mounted = await run("mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "none", path);
  if (!mounted) {
    await Deno.remove(path);
    return undefined;
  }
  openForServers(path);
  const filler = join(path, "filler");
  return {
    path,
    async fill() {
      using file = await Deno.open(filler, { write: true, create: true });
      const page = new Uint8Array(PAGE);
      try {
        for (;;) await file.write(page);
      } catch (error) {
        if (!String(error).includes("No space left")) throw error;
      }
    },
    async free(megabytes) {
      const { size } = await Deno.stat(filler);
      await Deno.truncate(filler, Math.max(0, size - megabytes * 1_048_576));
    },
    [Symbol.asyncDispose]: async () => {
      if (!await run("umount", path)) throw new Error(`${path} can't be unmounted`);
      await Deno.remove(path);
    },
  };
}

async function run(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, {
      args: [...args],
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch (error) {
    // Without the program, or without the right to run it.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return false;
    }
    throw error;
  }
}
