/**
 * What an upgrade asks of a plant must stand in the release's upgrade notes: new migrations, and settings
 * that are gone, have another default or are required from now on.
 *
 * @module
 */
import { git } from "./git.ts";

const SETTINGS = [".env.example", "cutover/.env.example"];
const MIGRATIONS = ["db/migrations", "cutover/migrations"];

/** A setting as a file of examples shows it. */
interface Setting {
  readonly value: string;
  readonly isRequired: boolean;
}

/**
 * The names that the upgrade notes lack, each with its reason, such as
 * `0022: db/migrations/0022_scales.sql is new`.
 *
 * @param tag of the last release
 */
export async function listUnnamed(root: string, tag: string, notes: string): Promise<string[]> {
  const changes = [...await newMigrations(root, tag), ...await changedSettings(root, tag)];
  return changes.filter(([name]) => !new RegExp(`(?<![\\w])${name}(?![\\w])`).test(notes))
    .map(([name, reason]) => `${name}: ${reason}`);
}

type Change = readonly [name: string, reason: string];

async function newMigrations(root: string, tag: string): Promise<Change[]> {
  const added = await git(
    ...[root, "diff", "--name-only", "--diff-filter=A", tag, "HEAD", "--", ...MIGRATIONS] as const,
  );
  return added.split("\n").flatMap((path) => {
    const number = /\/(\d{4})_\w+\.sql$/.exec(path)?.[1];
    return number === undefined ? [] : [[number, `${path} is new`] as const];
  });
}

async function changedSettings(root: string, tag: string): Promise<Change[]> {
  const changes: Change[] = [];
  for (const file of SETTINGS) {
    const [before, now] = await Promise.all([
      settingsIn(root, tag, file),
      settingsIn(root, "HEAD", file),
    ]);
    for (const name of new Set([...before.keys(), ...now.keys()])) {
      const [old, current] = [before.get(name), now.get(name)];
      if (current === undefined) changes.push([name, `is gone from ${file}`]);
      else if (current.isRequired && !old?.isRequired) {
        changes.push([name, `is required from now on, see ${file}`]);
      } else if (old !== undefined && old.value !== current.value) {
        changes.push([name, `has another value in ${file}`]);
      }
    }
  }
  return changes;
}

/** The settings of a file at a commit; none where it isn't there. */
async function settingsIn(
  root: string,
  commit: string,
  file: string,
): Promise<Map<string, Setting>> {
  const text = await git(root, "show", `${commit}:./${file}`).catch(() => "");
  const settings = new Map<string, Setting>();
  let comment = "";
  for (const line of text.split("\n")) {
    const [, name, value = ""] = /^([A-Z][A-Z_]*)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) {
      settings.set(name, { value, isRequired: /\bRequired\b/.test(comment) });
      comment = "";
    } else comment += `${line}\n`;
  }
  return settings;
}
