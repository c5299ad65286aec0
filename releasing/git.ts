/** A command of git failed. The message is what git said. */
export class GitError extends Error {
  override name = "GitError";
}

/** What git prints for a command in a folder, without the line's end. @throws {GitError} */
export async function git(folder: string, ...args: string[]): Promise<string> {
  return new TextDecoder().decode(await gitBytes(folder, ...args)).trimEnd();
}

/** The same as bytes. @throws {GitError} */
export async function gitBytes(
  folder: string,
  ...args: string[]
): Promise<Uint8Array<ArrayBuffer>> {
  const { success, stdout, stderr } = await new Deno.Command("git", { args, cwd: folder }).output();
  if (success) return stdout;
  const said = new TextDecoder().decode(stderr).trim();
  throw new GitError(`git ${args[0]}: ${said || "failed"}`);
}
