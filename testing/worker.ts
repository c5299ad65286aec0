import { permissionsOf } from "./api.ts";
import { type LineReader, readLines } from "./lines.ts";

/** The worker as a process of its own, started the way `deno task worker` starts it. */
export interface TestWorker extends AsyncDisposable {
  readonly process: Deno.ChildProcess;
  /** Everything it has logged so far, a JSON object a line. */
  readonly log: LineReader;
}

const WORKER = new URL("../worker.ts", import.meta.url);

/** Starts a worker; resolves when it works. */
export async function startWorker(
  { databaseUrl, environment }: { databaseUrl: string; environment?: Record<string, string> },
): Promise<TestWorker> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...permissionsOf("worker"), WORKER.pathname],
    env: { DATABASE_URL: databaseUrl, ...environment },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const log = readLines(process.stdout);
  await log.find((line) => line.includes('"msg":"working"'));
  return {
    process,
    log,
    [Symbol.asyncDispose]: async () => {
      for (const signal of ["SIGCONT", "SIGTERM"] as const) {
        try {
          process.kill(signal);
        } catch {
          // The test has ended it already.
        }
      }
      await process.status;
      await log.ended;
    },
  };
}
