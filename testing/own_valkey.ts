import { startValkey, type ValkeyServer } from "../dev/valkey.ts";

/**
 * A Valkey for one test, to be stopped, killed and paused. Disposing ends it. With `persist`, its
 * data survives a stop. `args` are further arguments of the program.
 */
export async function ownValkey(
  { persist = false, args = [] }: { persist?: boolean; args?: readonly string[] } = {},
): Promise<{ server: ValkeyServer } & AsyncDisposable> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-test-" });
  const said: string[] = [];
  const server = await startValkey({
    dir: `${folder}/valkey`,
    persist,
    args,
    progress: (line) => said.push(line),
  });
  if (server === undefined) throw new Error(`this test needs a Valkey server: ${said.join(" ")}`);
  return {
    server,
    [Symbol.asyncDispose]: async () => {
      await server.kill();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
