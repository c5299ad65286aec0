/**
 * oasdiff (https://github.com/oasdiff/oasdiff) tells which changes of an OpenAPI document break its
 * clients. It is written in Go: `oasdiff/go.mod` pins it, Go builds it when it is first needed and
 * keeps it in its cache. This program says whether it is there.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

const MODULE = fileURLToPath(new URL("./oasdiff/", import.meta.url));

/**
 * The path of the program; undefined on a machine without Go. Takes about a minute the first time.
 * @throws {Error} when Go can't build it
 */
export async function findOasdiff(): Promise<string | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command("go", {
      args: ["tool", "-n", "oasdiff"],
      cwd: MODULE,
      // What the module file says, whatever this machine's settings are.
      env: { GOFLAGS: "-mod=readonly", GOWORK: "off" },
    }).output();
    if (!success) throw new Error(`Go can't build oasdiff: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout).trim();
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw thrown;
  }
}

if (import.meta.main) {
  if (await findOasdiff() === undefined) {
    console.error("Breaking changes are looked for by oasdiff, which needs Go: https://go.dev/dl");
    Deno.exit(1);
  }
}
