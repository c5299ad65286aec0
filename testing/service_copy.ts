import { dirname, join } from "node:path";
import { parseDocument } from "yaml";
import project from "../deno.json" with { type: "json" };
import { CUTOVER } from "./parts.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const isCutover = (path: string) => CUTOVER.some((folder) => path.startsWith(`${folder}/`));

/** The tree without the cutover, in a temporary folder. Disposing removes it. */
export interface ServiceCopy extends AsyncDisposable {
  readonly path: string;
}

/** Copies the tree without {@link CUTOVER}, and takes out what names it. */
export async function copyService(): Promise<ServiceCopy> {
  await using stack = new AsyncDisposableStack();
  const path = await Deno.realPath(await Deno.makeTempDir({ prefix: "lotline-service-" }));
  stack.defer(() => Deno.remove(path, { recursive: true }));
  await copyFiles(path);
  for (const [name, edit] of Object.entries(EDITS)) {
    const file = join(path, name);
    await Deno.writeTextFile(file, edit(await Deno.readTextFile(file)));
  }
  await deno(path, ["fmt", "--quiet", "deno.json", "compose.yaml"]);
  // The picture of the modules has the cutover's.
  await deno(path, ["task", "--quiet", "modules"]);
  const parts = stack.move();
  return { path, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** The files that git knows or would add, so neither data nor secrets. */
async function listFiles(): Promise<string[]> {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { success, stdout } = await new Deno.Command("git", { args, cwd: ROOT }).output();
  if (!success) throw new Error("git ls-files failed");
  return new TextDecoder().decode(stdout).split("\0").filter((path) => path !== "");
}

/** Copies the files of the service; one that is deleted and not yet committed is none. */
async function copyFiles(to: string): Promise<void> {
  for (const path of await listFiles()) {
    if (isCutover(path)) continue;
    await Deno.mkdir(dirname(join(to, path)), { recursive: true });
    await Deno.copyFile(join(ROOT, path), join(to, path)).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

interface Task {
  readonly command?: string;
  readonly dependencies?: readonly string[];
}

/** The tasks that start something of the cutover. */
function cutoverTasks(): string[] {
  const tasks: Record<string, Task> = project.tasks;
  return Object.keys(tasks).filter((name) => tasks[name]?.command?.split(" ").some(isCutover));
}

/** How each file that starts or copies the cutover reads without it. */
const EDITS: Record<string, (text: string) => string> = {
  "deno.json": (text) => {
    const { tasks, ...rest } = JSON.parse(text);
    for (const name of cutoverTasks()) delete tasks[name];
    return JSON.stringify({ ...rest, tasks });
  },
  // A service of the cutover is one whose command is a task of the cutover.
  "compose.yaml": (text) => {
    const document = parseDocument(text, { merge: true });
    const services: Record<string, { command?: string[] }> = document.toJS().services;
    for (const [name, { command = [] }] of Object.entries(services)) {
      if (cutoverTasks().includes(command[0] ?? "")) document.deleteIn(["services", name]);
    }
    return document.toString({ lineWidth: 0 });
  },
  "Dockerfile": (text) =>
    text.split("\n").filter((line) => !/^COPY cutover /.test(line))
      .map((line) => line.split(" ").filter((word) => !isCutover(word)).join(" ")).join("\n"),
};

/** Runs Deno in a folder; resolves with its exit code. */
export async function deno(folder: string, args: readonly string[]): Promise<number> {
  const process = new Deno.Command(Deno.execPath(), { args: [...args], cwd: folder }).spawn();
  return (await process.status).code;
}
