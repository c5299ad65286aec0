/** Which Lotline a program is. */
export interface Build {
  readonly version: string;
  /** Undefined: nothing says it. */
  readonly commit: string | undefined;
}

const ROOT = new URL("../", import.meta.url);
const COMMIT = /^[0-9a-f]{7,64}$/;

/**
 * The version of the contract's file, and the commit: the one that was set, or that of the git clone that
 * the program runs from. An image has no clone, so its build sets the commit.
 *
 * @param commit LOTLINE_COMMIT
 */
export async function readBuild(commit: string | undefined, root: URL = ROOT): Promise<Build> {
  const contract = await textOf(new URL("openapi.yaml", root));
  return {
    version: /^ {2}version: (\S+)$/m.exec(contract)?.[1] ?? "not told",
    commit: commit ?? await clonedCommit(new URL(".git/", root)),
  };
}

/** The commit that is checked out. Changes since then don't show. */
async function clonedCommit(git: URL): Promise<string | undefined> {
  const head = (await textOf(new URL("HEAD", git))).trim();
  if (COMMIT.test(head)) return head;
  const ref = /^ref: (refs\/\S+)$/.exec(head)?.[1];
  if (ref === undefined) return undefined;
  const commit = (await textOf(new URL(ref, git))).trim();
  if (COMMIT.test(commit)) return commit;
  const packed = (await textOf(new URL("packed-refs", git))).split("\n");
  return packed.map((line) => line.split(" ")).find(([, name]) => name === ref)?.[0];
}

async function textOf(file: URL): Promise<string> {
  return await Deno.readTextFile(file).catch(() => "");
}
