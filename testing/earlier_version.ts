import { join } from "node:path";
import { ROOT } from "./task_process.ts";

/*
 * The version that the tests of the rolling update begin with: its code runs beside this tree's.
 */

/**
 * Used until a release precedes this tree. It lacks migrations of both series and settings that exist
 * since, so the versions really differ.
 */
const BEFORE_THE_FIRST_RELEASE = "8b64988789ada3f1a59ea4666367cddfa1cd4a79";

/** Of a commit so many digits are shown. */
const MAX_NAME = 12;

/** The tree of an earlier version. Disposing removes it. */
export interface EarlierVersion extends AsyncDisposable {
  /** A tag, or the start of a commit. */
  readonly name: string;
  /** The root of its files. */
  readonly root: URL;
}

/**
 * Unpacks the newest release before this tree, by its tag, or else a fixed commit; its packages come
 * from Deno's cache or from npm.
 *
 * @throws Error when this is no clone, or a clone without the commit
 */
export async function earlierVersion(): Promise<EarlierVersion> {
  const name = await lastRelease() ?? BEFORE_THE_FIRST_RELEASE;
  const archive = await git("archive", "--format=tar", name).catch((cause) => {
    const todo = "git fetch --unshallow --tags";
    throw new Error(`This clone lacks ${name}, which the update begins with: ${todo}`, { cause });
  });
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "lotline-earlier-" }));
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const file = join(folder, "tree.tar");
  await Deno.writeFile(file, archive);
  await output("tar", "-x", "-C", folder, "-f", file);
  const parts = stack.move();
  return {
    name: name.slice(0, MAX_NAME),
    root: new URL(`file://${folder}/`),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** The newest tag of a release that has other files than the last commit. */
async function lastRelease(): Promise<string | undefined> {
  const tags = await text("tag", "--merged", "HEAD", "--list", "v*", "--sort=-v:refname");
  const files = await text("rev-parse", "HEAD^{tree}");
  for (const tag of tags.split("\n").filter((line) => line !== "")) {
    if (await text("rev-parse", `${tag}^{tree}`) !== files) return tag;
  }
  return undefined;
}

const text = async (...args: string[]) => new TextDecoder().decode(await git(...args)).trim();

const git = (...args: string[]) => output("git", ...args);

async function output(program: string, ...args: string[]): Promise<Uint8Array> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd: ROOT }).output();
  if (success) return stdout;
  throw new Error(`${program} ${args[0]} failed: ${new TextDecoder().decode(stderr)}`);
}
