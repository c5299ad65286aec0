import project from "../deno.json" with { type: "json" };

const TASKS: Readonly<Record<string, object>> = project.tasks;

/** Whether deno.json has a task of this name. */
export const hasTask = (task: string) => TASKS[task] !== undefined;

/** The arguments of a task's command in deno.json. @throws Error when there is no such task */
export function taskWords(task: string): string[] {
  const found = TASKS[task] ?? {};
  if (!("command" in found)) throw new Error(`deno.json has no task ${task}`);
  return String(found.command).split(" ");
}
