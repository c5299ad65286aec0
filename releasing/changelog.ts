/** The section of what comes with the next release. */
export const UNRELEASED = "Unreleased";
/** The part of a section that says what a plant must do. */
const UPGRADE_NOTES = "Upgrading";

/** One release in CHANGELOG.md. */
export interface Section {
  /** Its version, or {@link UNRELEASED}. */
  readonly name: string;
  /** Its day, as in `2026-12-01`. */
  readonly day: string | undefined;
  /** The text below its heading. */
  readonly text: string;
}

/** The sections of CHANGELOG.md, the newest first. */
export function sectionsOf(changelog: string): Section[] {
  const [, ...parts] = changelog.split(/^## /m);
  return parts.map((part) => {
    const end = part.indexOf("\n");
    const [name = "", day] = part.slice(0, end).split(" — ");
    return { name, day, text: part.slice(end).trim() };
  });
}

/** The upgrade notes of a section; empty where it has none. */
export function upgradeNotesOf({ text }: Section): string {
  const part = text.split(/^### /m).find((one) => one.startsWith(`${UPGRADE_NOTES}\n`)) ?? "";
  return part.slice(UPGRADE_NOTES.length).trim();
}

/**
 * CHANGELOG.md in which the unreleased section is that of a version, below a new, empty one.
 * @param day as in `2026-12-01`
 */
export function withRelease(changelog: string, version: string, day: string): string {
  const heading = `## ${UNRELEASED}\n`;
  return changelog.replace(heading, `${heading}\n## ${version} — ${day}\n`);
}
