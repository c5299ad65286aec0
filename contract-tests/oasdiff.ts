/**
 * oasdiff (https://github.com/oasdiff/oasdiff) reports which changes of an OpenAPI document break
 * its clients. It is written in Go and pinned by `oasdiff/go.mod`. The tests that need it build it
 * once, as does this program; CI starts it early, beside other tests.
 *
 * @module
 */
import { ensureGoProgram, type GoProgram } from "../dev/go_program.ts";
import { ahead } from "../testing/ahead.ts";

const OASDIFF: GoProgram = {
  name: "oasdiff",
  module: new URL("./oasdiff/", import.meta.url),
  package: "github.com/oasdiff/oasdiff",
};

/** The path of the program. @throws as {@link ensureGoProgram} */
export const ensureOasdiff = (): Promise<string> => ensureGoProgram(OASDIFF);

if (import.meta.main) await ahead(ensureOasdiff);
