import { join } from "node:path";
import { ROOT } from "./task_process.ts";

/**
 * Makes a folder, below a test's own, that goes to the front of `PATH` for commands of the docs: it
 * has this `deno`, and a `psql` where the machine has none. Returns its path.
 */
export async function shellPrograms(folder: string): Promise<string> {
  const bin = join(folder, "bin");
  await Deno.mkdir(bin);
  await Deno.symlink(Deno.execPath(), join(bin, "deno"));
  const { success } = await new Deno.Command("sh", { args: ["-c", "command -v psql"] }).output();
  if (!success) {
    const text = `#!/bin/sh\nexec deno run -A ${ROOT.pathname}testing/psql_for_setup.ts "$@"\n`;
    await Deno.writeTextFile(join(bin, "psql"), text, { mode: 0o755 });
  }
  return bin;
}
