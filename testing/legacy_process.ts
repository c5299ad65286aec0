import { permissionsOf } from "./api.ts";
import { readLines } from "./lines.ts";

/** The old server's stand-in as a process of its own, so that it can be killed. */
export interface LegacyProcess extends AsyncDisposable {
  readonly url: string;
  readonly process: Deno.ChildProcess;
}

const MAIN = new URL("../legacy/main.ts", import.meta.url);

/** Starts the stand-in as `deno task legacy` does; on any free port unless one is given. */
export async function startLegacyProcess(
  { databaseUrl, port = 0 }: { databaseUrl: string; port?: number },
): Promise<LegacyProcess> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...permissionsOf("legacy"), MAIN.pathname],
    env: { DATABASE_URL: databaseUrl, LEGACY_PORT: String(port) },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const log = readLines(process.stdout);
  const line = await log.find((line) => line.includes("http://"));
  return {
    url: /http:\/\/[\d.:]+/.exec(line)?.[0] ?? "",
    process,
    [Symbol.asyncDispose]: async () => {
      try {
        process.kill("SIGTERM");
      } catch {
        // The test has ended it already.
      }
      await process.status;
      await log.ended;
    },
  };
}
