/**
 * `contract/released.yaml` is the contract of the last release, and git's tags (`v0.1.0`) name the
 * releases. The document is copied from openapi.yaml before the tag is set, by
 * `deno task release`, or `deno task contract --release` alone.
 *
 * @module
 */
import { join } from "node:path";
import { parse } from "yaml";
import { versionOf } from "./documents.ts";

/** The last release before the commit that is checked out. */
export interface Release {
  readonly tag: string;
  /** openapi.yaml at the tag. */
  readonly contract: string;
}

/** What a folder has of the contract, as text. */
export interface Contracts {
  readonly contract: string;
  readonly released: string;
}

export async function readContracts(root: string): Promise<Contracts> {
  const [contract = "", released = ""] = await Promise.all(
    ["openapi.yaml", "contract/released.yaml"].map((path) => Deno.readTextFile(join(root, path))),
  );
  return { contract, released };
}

/** Undefined where there is no git, no repository or no tag, as in a shallow clone. */
export async function findRelease(root: string): Promise<Release | undefined> {
  const tag = await git(root, "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*");
  if (tag === undefined) return undefined;
  const contract = await git(root, "show", `${tag.trim()}:./openapi.yaml`);
  return contract === undefined ? undefined : { tag: tag.trim(), contract };
}

async function git(cwd: string, ...args: string[]): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", { args, cwd }).output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw thrown;
  }
}

const versionIn = (document: string) => versionOf(parse(document));

/**
 * What is wrong with `contract/released.yaml`: it is neither what the last release had, nor the
 * contract of a version that is about to be tagged.
 */
export function problemOfReleased(
  { contract, released }: Contracts,
  last: Release,
): string | undefined {
  if (released === last.contract) return undefined;
  if (versionIn(released) === last.tag.slice(1)) {
    return `contract/released.yaml differs from openapi.yaml at ${last.tag}`;
  }
  return released === contract
    ? undefined
    : "contract/released.yaml is neither openapi.yaml nor what the last tag had";
}

/**
 * Makes openapi.yaml the contract of the release that is about to be tagged.
 * @returns the tag to set
 * @throws {Error} when the version was released already
 */
export async function freezeContract(root: string): Promise<string> {
  const { contract } = await readContracts(root);
  const tag = `v${versionIn(contract)}`;
  if (await git(root, "rev-parse", "--verify", "--quiet", `refs/tags/${tag}`) !== undefined) {
    throw new Error(`${tag} is released already: raise info.version in openapi.yaml`);
  }
  await Deno.writeTextFile(join(root, "contract/released.yaml"), contract);
  return tag;
}
