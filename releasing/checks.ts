import { join } from "node:path";
// @ts-types="@types/semver"
import semver from "semver";
import { parse } from "yaml";
import { findBreakingChanges, mayBreak } from "../contract-tests/breaking_changes.ts";
import { ensureOasdiff } from "../contract-tests/oasdiff.ts";
import { findRelease, type Release } from "../contract-tests/released.ts";
import { type Section, sectionsOf, UNRELEASED, upgradeNotesOf } from "./changelog.ts";
import { git } from "./git.ts";
import { listUnnamed } from "./upgrade_notes.ts";
import { readVersion } from "./version_files.ts";

/** What is to be released, and from where. */
export interface Plan {
  readonly root: string;
  readonly version: string;
  /** The branch that must be checked out. */
  readonly branch: string;
}

/**
 * Everything that stands against a release, each in a sentence.
 * @throws {Error} when Go can't build oasdiff, which compares the contracts
 */
export async function problemsOf(plan: Plan): Promise<string[]> {
  const { root, version } = plan;
  if (!/^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}$/.test(version)) {
    return [`${version} is no version such as 1.2.3`];
  }
  const sections = sectionsOf(await Deno.readTextFile(join(root, "CHANGELOG.md")));
  const last = await findRelease(root);
  const problems = [
    ...await problemsOfTree(plan),
    ...await problemsOfVersion(plan, sections, last),
    ...problemsOfChangelog(sections),
  ];
  // What no release has promised yet can't be broken.
  if (problems.length > 0 || last === undefined) return problems;
  const [unreleased] = sections;
  const notes = unreleased === undefined ? "" : upgradeNotesOf(unreleased);
  return [
    ...(await listUnnamed(root, last.tag, notes)).map((one) =>
      `CHANGELOG.md has to name it under "Upgrading": ${one}`
    ),
    ...await problemsOfContract(plan, last),
  ];
}

async function problemsOfTree({ root, branch }: Plan): Promise<string[]> {
  const [changes, current] = await Promise.all([
    git(root, "status", "--porcelain"),
    git(root, "branch", "--show-current"),
  ]);
  const problems: string[] = [];
  if (changes !== "") problems.push(`Files that aren't committed:\n${changes}`);
  if (current !== branch) {
    const here = current === "" ? "No branch" : `The branch ${current}`;
    problems.push(`${here} is checked out, not ${branch}: --branch names another`);
  }
  return problems;
}

async function problemsOfVersion(
  { root, version }: Plan,
  sections: readonly Section[],
  last: Release | undefined,
): Promise<string[]> {
  const newest = sections.find(({ name }) => semver.valid(name) !== null)?.name;
  if (newest !== undefined && last?.tag !== `v${newest}`) {
    return [
      `CHANGELOG.md has ${newest}, but git has no tag v${newest} before HEAD: git fetch --tags`,
    ];
  }
  const released = last?.tag.slice(1);
  if (released !== undefined && !semver.gt(version, released)) {
    return [`${version} isn't greater than ${released}, the last release`];
  }
  const current = await readVersion(root);
  if (semver.lt(version, current)) {
    return [`${version} is less than ${current}, which deno.json has`];
  }
  // On another branch, so it isn't the last one before HEAD.
  const isTaken = await git(root, "tag", "--list", `v${version}`) !== "";
  return isTaken ? [`The tag v${version} is there already`] : [];
}

function problemsOfChangelog([unreleased]: readonly Section[]): string[] {
  if (unreleased?.name !== UNRELEASED) {
    return [`CHANGELOG.md has no section "${UNRELEASED}" on top`];
  }
  return unreleased.text === "" ? [`CHANGELOG.md has nothing under "${UNRELEASED}"`] : [];
}

async function problemsOfContract({ root, version }: Plan, last: Release): Promise<string[]> {
  if (mayBreak(last.tag.slice(1), version)) return [];
  const contract = parse(await Deno.readTextFile(join(root, "openapi.yaml")));
  const found = await findBreakingChanges(await ensureOasdiff(), parse(last.contract), contract);
  return found.map(({ operation, text }) =>
    `Clients of ${last.tag} break, so the version must be higher: ${operation}: ${text}`
  );
}
