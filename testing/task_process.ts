import { taskWords } from "../dev/task_command.ts";
import { withDeadline } from "./eventually.ts";
import { type LineReader, readLines } from "./lines.ts";

/** A process of Lotline, started the way its task starts it. Disposing asks it to end, and waits. */
export interface TaskProcess extends AsyncDisposable {
  readonly process: Deno.ChildProcess;
  /** Everything it has logged so far, a line each. */
  readonly log: LineReader;
  /** The line that said that it was ready. */
  readonly readyLine: string;
}

const ROOT = new URL("../", import.meta.url);

/** Longer than the grace that any of them gives to what runs. */
const END = { seconds: 60 };

/** Starts it; resolves with the line that says that it is ready. */
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
    // Where the paths of its permissions begin.
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
      // One that is stopped would never hear that it is to end.
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
