/** The end of a program: its exit code, and what it wrote, without space around it. */
interface TaskOutput {
  readonly code: number;
  readonly output: string;
  readonly error: string;
}

/** How commands in messages begin when npx has started the tests (`task_help.ts`). */
export const FROM_NPX = /npx -y deno@[\d.]+ task/g;

/** Runs a task of deno.json with its arguments to its end. */
export async function taskOutput(
  words: readonly string[],
  env: Record<string, string>,
  input = "",
): Promise<TaskOutput> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", ...words],
    cwd: new URL("../", import.meta.url),
    env: { NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // A program that has ended reads no input.
  await new Blob([input]).stream().pipeTo(process.stdin).catch(() => {});
  const { code, stdout, stderr } = await process.output();
  const text = new TextDecoder();
  const shown = (bytes: Uint8Array) => text.decode(bytes).trim().replaceAll(FROM_NPX, "deno task");
  return { code, output: shown(stdout), error: shown(stderr) };
}
