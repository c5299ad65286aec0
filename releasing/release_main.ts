/**
 * `deno task release`: checks whether a version can be released, commits and tags it, and makes its
 * files.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { RefusedError, runMain, UsageError } from "../command_line.ts";
import { sentenceOf } from "../terminal.ts";
import { problemsOf } from "./checks.ts";
import { makeFiles } from "./files.ts";
import { git, GitError } from "./git.ts";
import { tagRelease } from "./release.ts";
import { setVersion } from "./version_files.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const USAGE = `usage: deno task release X.Y.Z [--branch NAME] [--tag]
       deno task release X.Y.Z --set
       deno task release --files

  X.Y.Z          says whether this version can be released, and changes nothing
  --tag          then commits and tags it, and makes its files in release/X.Y.Z; pushes nothing
  --branch NAME  the branch to release from (main)
  --set          only writes the version into all files that name it
  --files        makes the files of the tag that is checked out again: the same bytes`;

function typed() {
  try {
    const { values, positionals: [version, ...others] } = parseArgs({
      allowPositionals: true,
      options: {
        branch: { type: "string", default: "main" },
        tag: { type: "boolean", default: false },
        set: { type: "boolean", default: false },
        files: { type: "boolean", default: false },
      },
    });
    const { files, set, tag } = values;
    const isClear = files
      ? version === undefined && !set && !tag
      : version !== undefined && !(set && tag);
    if (others.length > 0 || !isClear) throw new UsageError();
    return { ...values, version };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${USAGE}\n\n${sentenceOf(error)}`);
  }
}

async function release(version: string, branch: string, mayTag: boolean): Promise<void> {
  const plan = { root: ROOT, version, branch };
  const problems = await problemsOf(plan);
  if (problems.length > 0) {
    throw new RefusedError(
      [`${version} can't be released:`, ...problems.map((one) => `- ${one}`)].join("\n"),
    );
  }
  if (!mayTag) {
    console.log(`${version} can be released: deno task release ${version} --tag`);
    return;
  }
  const tag = await tagRelease(plan, new Date().toISOString().slice(0, 10));
  console.log(`${tag} is committed and tagged.`);
  await files(tag);
  console.log(`Publish it: git push --atomic origin ${branch} ${tag}`);
}

async function files(tag: string): Promise<void> {
  console.log(`Its files are in ${await makeFiles(ROOT, tag)}`);
}

/** The release's tag at HEAD, in a tree that is as committed. @throws {RefusedError} */
async function tagHere(): Promise<string> {
  if (await git(ROOT, "status", "--porcelain") !== "") {
    throw new RefusedError("There are files that aren't committed, which could make other bytes.");
  }
  const [tag] = (await git(ROOT, "tag", "--points-at", "HEAD", "--list", "v[0-9]*")).split("\n");
  if (tag) return tag;
  throw new RefusedError("No tag of a release is checked out: git checkout vX.Y.Z");
}

await runMain(
  {
    task: "release",
    usage: USAGE,
    exit: "0 done, or it can be released; 1 it can't, or failed; 2 wrong usage",
    told: [GitError],
  },
  async () => {
    const { version, branch, tag, set, files: filesOnly } = typed();
    if (filesOnly) await files(await tagHere());
    else if (version !== undefined && set) {
      if (!/^\d+\.\d+\.\d+$/.test(version)) {
        throw new UsageError(`${version} is no version such as 1.2.3`);
      }
      console.log((await setVersion(ROOT, version)).join("\n"));
    } else if (version !== undefined) await release(version, branch, tag);
  },
);
