/**
 * oasdiff (https://github.com/oasdiff/oasdiff) tells which changes of an OpenAPI document break its
 * clients. It is written in Go, pinned by `oasdiff/go.mod`, and built by `deno task contract`: this
 * program. The tests look for breaking changes wherever it was built.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

const MODULE = fileURLToPath(new URL("./oasdiff/", import.meta.url));
const [, VERSION = ""] = /github\.com\/oasdiff\/oasdiff (v[\d.]+)/.exec(
  await Deno.readTextFile(`${MODULE}go.mod`),
) ?? [];
const PROGRAM = fileURLToPath(new URL(`../.data/programs/oasdiff-${VERSION}`, import.meta.url));

/** The path of the program; undefined where it wasn't built. */
export async function findOasdiff(): Promise<string | undefined> {
  return await Deno.stat(PROGRAM).then(() => PROGRAM, () => undefined);
}

/** Builds it, which takes about a minute the first time; says what is missing if that can't be done. */
async function build(): Promise<string | undefined> {
  try {
    const { success, stderr } = await new Deno.Command("go", {
      args: ["build", "-o", PROGRAM, "github.com/oasdiff/oasdiff"],
      cwd: MODULE,
      // What the module file says, whatever this machine's settings are.
      env: { GOFLAGS: "-mod=readonly", GOWORK: "off" },
    }).output();
    return success ? undefined : `Go can't build oasdiff: ${new TextDecoder().decode(stderr)}`;
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    return "Breaking changes are looked for by oasdiff, which needs Go: https://go.dev/dl";
  }
}

if (import.meta.main && await findOasdiff() === undefined) {
  const missing = await build();
  if (missing !== undefined) {
    console.error(missing);
    Deno.exit(1);
  }
}
