import { z } from "zod";
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

/** The root of this tree. */
export const ROOT = new URL("../", import.meta.url);

/** Longer than any of their grace periods. */
const END = { seconds: 60 };

/** The arguments of Deno that run a task of a tree as `deno task` does. */
export async function taskArguments(task: string, root: URL): Promise<string[]> {
  const words = root === ROOT ? taskWords(task) : await wordsIn(root, task);
  // With the task's permissions, so that a test notices when they are too narrow.
  const permissions = words.filter((word) => word.startsWith("--") && word !== "--quiet");
  return ["run", "--quiet", ...permissions, new URL(words.at(-1) ?? "", root).pathname];
}

const Project = z.object({
  tasks: z.record(z.string(), z.object({ command: z.string().optional() })),
});

async function wordsIn(root: URL, task: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL("deno.json", root));
  const command = Project.parse(JSON.parse(text)).tasks[task]?.command;
  if (command === undefined) throw new Error(`${root} has no task ${task}`);
  return command.split(" ");
}

/** Starts it; resolves with the line that shows that it is ready. */
export async function startTask(
  { task, env, isReady, stderr = "inherit", root = ROOT, preload }: {
    /** In deno.json. */
    readonly task: string;
    readonly env: Record<string, string>;
    readonly isReady: (line: string) => boolean;
    readonly stderr?: "inherit" | "null";
    /** The tree of another version, which has the task. */
    readonly root?: URL;
    /** A file that runs before the task's own. */
    readonly preload?: string | undefined;
  },
): Promise<TaskProcess> {
  const [run = "", ...args] = await taskArguments(task, root);
  const process = new Deno.Command(Deno.execPath(), {
    args: [run, ...preload === undefined ? [] : ["--preload", preload], ...args],
    // The root of the relative paths of its permissions.
    cwd: root,
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

/**
 * Migrates a database with the code of a tree.
 * @throws Error with what the task has printed
 */
export async function migrateWith(root: URL, databaseUrl: string): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: await taskArguments("migrate", root),
    cwd: root,
    env: { DATABASE_URL: databaseUrl },
  }).output();
  if (success) return;
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  throw new Error(`The migration failed: ${out}${error}`);
}
