/**
 * oasdiff (https://github.com/oasdiff/oasdiff) reports which changes of an OpenAPI document break
 * its clients. It is written in Go and pinned by `oasdiff/go.mod`. The tests that need it build it
 * once, as does this program; CI starts it early, beside other tests.
 *
 * @module
 */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const MODULE = fileURLToPath(new URL("./oasdiff/", import.meta.url));
const [, VERSION = ""] = /github\.com\/oasdiff\/oasdiff (v[\d.]+)/.exec(
  await Deno.readTextFile(`${MODULE}go.mod`),
) ?? [];
const PROGRAM = fileURLToPath(new URL(`../.data/programs/oasdiff-${VERSION}`, import.meta.url));

/**
 * The path of the program, which is built unless it was before: a minute or two, and seconds where
 * Go has cached its parts. Another process that builds it at this moment is waited for.
 *
 * @throws {Error} when it can't be built
 */
export async function ensureOasdiff(): Promise<string> {
  await Deno.mkdir(dirname(PROGRAM), { recursive: true });
  using claim = await Deno.open(`${PROGRAM}.lock`, { write: true, create: true });
  await claim.lock(true);
  const isBuilt = await Deno.stat(PROGRAM).then(() => true, () => false);
  if (!isBuilt) await build();
  return PROGRAM;
}

async function build(): Promise<void> {
  console.log("Go builds oasdiff, once");
  try {
    const { success, stderr } = await new Deno.Command("go", {
      args: ["build", "-ldflags=-s -w", "-o", PROGRAM, "github.com/oasdiff/oasdiff"],
      cwd: MODULE,
      // The module file decides, not this machine's settings.
      env: { GOFLAGS: "-mod=readonly", GOWORK: "off", CGO_ENABLED: "0" },
    }).output();
    if (!success) throw new Error(`Go can't build oasdiff: ${new TextDecoder().decode(stderr)}`);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    throw new Error("Breaking changes are checked by oasdiff, which needs Go: https://go.dev/dl");
  }
}

if (import.meta.main) {
  try {
    await ensureOasdiff();
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    Deno.exit(1);
  }
}
