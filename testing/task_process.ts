import { taskWords } from "../dev/task_command.ts";
import { withDeadline } from "./eventually.ts";
import { type LineReader, readLines } from "./lines.ts";

/**
 * A process of Lotline, started as its task starts it. Disposing ends it with a signal, and waits.
 */
export interface TaskProcess extends AsyncDisposable {
  readonly process: Deno.ChildProcess;
  /** Its whole log so far, a line each. */
  readonly log: LineReader;
  /** The line that showed that it was ready. */
  readonly readyLine: string;
}

const ROOT = new URL("../", import.meta.url);

/** Longer than any of their grace periods. */
const END = { seconds: 60 };

/** Starts it; resolves with the line that shows that it is ready. */
export async function startTask(
  { task, env, isReady, stderr = "inherit" }: {
    /** In deno.json. */
    readonly task: string;
    readonly env: Record<string, string>;
    readonly isReady: (line: string) => boolean;
    readonly stderr?: "inherit" | "null";
  },
): Promise<TaskProcess> {
  const words = taskWords(task);
  // With the task's permissions, so that a test notices when they are too narrow.
  const permissions = words.filter((word) => word.startsWith("--"));
  const program = new URL(words.at(-1) ?? "", ROOT).pathname;
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...permissions, program],
    // The root of the relative paths of its permissions.
    cwd: ROOT,
    env,
    stdout: "piped",
    stderr,
  }).spawn();
  const log = readLines(process.stdout);
  const readyLine = await log.find(isReady);
  return {
    process,
    log,
    readyLine,
    [Symbol.asyncDispose]: async () => {
      // A paused one would never receive the signal to end.
      for (const signal of ["SIGCONT", "SIGTERM"] as const) {
        try {
          process.kill(signal);
        } catch {
          // The test has ended it already.
        }
      }
      await withDeadline(`the ${task} ends`, process.status, END).catch((error) => {
        process.kill("SIGKILL");
        throw error;
      });
      await withDeadline(`the ${task}'s log ends`, log.ended);
    },
  };
}
