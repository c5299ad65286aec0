import { runLoop } from "./run_loop.ts";

/** How often the file is written, in ms. */
const EVERY_MS = 5_000;

/**
 * Writes a file every 5 s until the signal is aborted; never rejects. The worker listens on no port,
 * so a supervisor looks at the file's age instead: an old one says that the process hangs. A process
 * that waits for PostgreSQL writes it as well, since a restart would not help.
 */
export const keepBeating = (
  path: string,
  options: Parameters<typeof runLoop>[2],
): Promise<void> =>
  runLoop("heartbeat_failed", async () => {
    await Deno.writeTextFile(path, "The worker writes this file every 5 s\n");
    return EVERY_MS;
  }, options);
