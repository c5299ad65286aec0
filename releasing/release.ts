import { join } from "node:path";
import { freezeContract } from "../contract-tests/released.ts";
import { withRelease } from "./changelog.ts";
import type { Plan } from "./checks.ts";
import { git } from "./git.ts";
import { setVersion } from "./version_files.ts";

const CHANGELOG = "CHANGELOG.md";

/**
 * Commits and tags a release that nothing stands against: sets the version in all files, gives the
 * unreleased changes their heading, and freezes the contract. Nothing is pushed.
 *
 * @param day of the changelog's heading, as in `2026-12-01`
 * @returns the tag
 * @throws {GitError} when git refuses; files and branch are then as they were
 */
export async function tagRelease({ root, version }: Plan, day: string): Promise<string> {
  const before = await git(root, "rev-parse", "HEAD");
  try {
    await setVersion(root, version);
    const file = join(root, CHANGELOG);
    await Deno.writeTextFile(file, withRelease(await Deno.readTextFile(file), version, day));
    const tag = await freezeContract(root);
    await git(root, "commit", "--quiet", "--all", `--message=Release ${version}`);
    // Signed where git is configured so (tag.gpgSign).
    await git(root, "tag", "--annotate", `--message=Lotline ${version}`, tag);
    return tag;
  } catch (thrown) {
    // The tree was clean, so this takes back only what was written here.
    await git(root, "reset", "--quiet", "--hard", before);
    throw thrown;
  }
}
