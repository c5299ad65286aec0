/**
 * oasdiff (https://github.com/oasdiff/oasdiff) reports which changes of an OpenAPI document break
 * its clients. It is written in Go and pinned by `oasdiff/go.mod`; `deno task contract` builds it
 * with this program. The tests check breaking changes wherever it was built.
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

/** Builds it, which takes about a minute the first time; on failure prints what is missing. */
async function build(): Promise<string | undefined> {
  try {
    const { success, stderr } = await new Deno.Command("go", {
      args: ["build", "-o", PROGRAM, "github.com/oasdiff/oasdiff"],
      cwd: MODULE,
      // The module file decides, not this machine's settings.
      env: { GOFLAGS: "-mod=readonly", GOWORK: "off" },
    }).output();
    return success ? undefined : `Go can't build oasdiff: ${new TextDecoder().decode(stderr)}`;
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    return "Breaking changes are checked by oasdiff, which needs Go: https://go.dev/dl";
  }
}

if (import.meta.main && await findOasdiff() === undefined) {
  const missing = await build();
  if (missing !== undefined) {
    console.error(missing);
    Deno.exit(1);
  }
}
