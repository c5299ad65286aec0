/**
 * oasdiff (https://github.com/oasdiff/oasdiff) reports which changes of an OpenAPI document break
 * its clients. It is written in Go and pinned by `oasdiff/go.mod`. The tests that need it build it
 * once, as does this program; CI starts it early, beside other tests.
 *
 * @module
 */
import { ensureGoProgram } from "../dev/go_program.ts";

/**
 * The path of the program, which is built unless it was before: a minute or two.
 *
 * @throws {Error} when it can't be built
 */
export async function ensureOasdiff(): Promise<string> {
  return await ensureGoProgram({
    name: "oasdiff",
    module: new URL("./oasdiff/", import.meta.url),
    package: "github.com/oasdiff/oasdiff",
  });
}

if (import.meta.main) {
  try {
    await ensureOasdiff();
  } catch (thrown) {
    console.error(thrown instanceof Error ? thrown.message : thrown);
    Deno.exit(1);
  }
}
