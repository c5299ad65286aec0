import { join } from "node:path";
import { type Coverage, readLcov } from "./coverage_table.ts";
import { deno } from "./service_copy.ts";
import { listSources } from "./test_files.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const REPORT = join(ROOT, ".data/coverage/lcov.info");

/** A folder for what processes reach: Deno reads the variable in each of them. */
export async function coverageFolder(): Promise<
  { readonly path: string; readonly env: Record<string, string> } & AsyncDisposable
> {
  const path = await Deno.makeTempDir({ prefix: "lotline-coverage-" });
  return {
    path,
    env: { DENO_COVERAGE_DIR: path },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/**
 * Sums up what is in the folder, by path, and leaves the sum as lcov in `.data/coverage/`: other
 * programs can show it. Files of a copy of this tree count as those of the tree.
 */
export async function readCoverage(folder: string, copy?: string): Promise<Map<string, Coverage>> {
  await tidy(folder, copy);
  // Deno leaves out a file that was only loaded in the copy: its JavaScript isn't in the cache.
  if (copy !== undefined) await deno(ROOT, ["cache", "--quiet", ...await listSources(ROOT)]);
  await Deno.mkdir(join(REPORT, ".."), { recursive: true });
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "coverage",
      "--quiet",
      "--lcov",
      `--output=${REPORT}`,
      `--include=^file://${ROOT}`,
      folder,
    ],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`deno coverage failed: ${new TextDecoder().decode(stderr)}`);
  return readLcov(await Deno.readTextFile(REPORT), ROOT);
}

/** A process or thread that is ended while it writes leaves a file that can't be read. */
async function tidy(folder: string, copy: string | undefined): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    const file = join(folder, name);
    const text = await Deno.readTextFile(file);
    try {
      JSON.parse(text);
    } catch {
      await Deno.remove(file);
      continue;
    }
    if (copy === undefined || !text.includes(copy)) continue;
    await Deno.writeTextFile(file, text.replaceAll(`file://${copy}/`, `file://${ROOT}`));
  }
}
