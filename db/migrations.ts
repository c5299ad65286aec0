import { createHash } from "node:crypto";

/** One numbered step of the schema. */
export interface Step {
  readonly series: string;
  readonly number: number;
  /** The file's name without its extension, such as `0001_old_schema`. */
  readonly name: string;
  readonly statements: string;
  /** SHA-256 of the file: an applied step must never be edited. */
  readonly checksum: string;
  /**
   * Set for a step that can't run in a transaction (an index built concurrently): the statement
   * that removes what an interrupted run left.
   */
  readonly undo: string | undefined;
}

/** The steps of one part of Lotline, numbered together. */
export interface Series {
  readonly name: string;
  readonly folder: URL;
}

export const SERVICE_SERIES: Series = {
  name: "service",
  folder: new URL("./migrations/", import.meta.url),
};

export const CUTOVER_SERIES: Series = {
  name: "cutover",
  folder: new URL("../cutover/migrations/", import.meta.url),
};

/**
 * All series, in the order in which they are applied. A part other than the service may have been
 * removed with its folder; its series has no steps then.
 */
export const ALL_SERIES: readonly Series[] = [SERVICE_SERIES, CUTOVER_SERIES];

const NAME = /^(\d{4})_\w+\.sql$/;
const UNDO = /^-- outside a transaction; undo: (.+)$/m;

/** A folder of migrations with a gap, a number used twice or an invalid name. */
export class MigrationFolderError extends Error {
  override name = "MigrationFolderError";
}

/**
 * The migrations in a folder, in their order.
 * @throws {MigrationFolderError}
 */
export async function readMigrations(folder: URL): Promise<readonly Omit<Step, "series">[]> {
  const migrations: Omit<Step, "series">[] = [];
  for await (const { name: file } of Deno.readDir(folder)) {
    const number = NAME.exec(file)?.[1];
    if (number === undefined) throw new MigrationFolderError(`${file} is not named 0001_name.sql`);
    const statements = await Deno.readTextFile(new URL(file, folder));
    migrations.push({
      number: Number(number),
      name: file.slice(0, -".sql".length),
      statements,
      checksum: createHash("sha256").update(statements).digest("hex"),
      undo: UNDO.exec(statements)?.[1],
    });
  }
  migrations.sort((a, b) => a.number - b.number);
  migrations.forEach(({ number, name }, index) => {
    if (number !== index + 1) {
      throw new MigrationFolderError(`${name} stands where number ${index + 1} must stand`);
    }
  });
  return migrations;
}

/**
 * The steps of several series, series by series.
 * @throws {MigrationFolderError}
 */
export async function readSteps(allSeries: readonly Series[]): Promise<readonly Step[]> {
  const steps: Step[] = [];
  for (const { name: series, folder } of allSeries) {
    const migrations = await readMigrations(folder).catch((error) => {
      if (series === SERVICE_SERIES.name || !(error instanceof Deno.errors.NotFound)) throw error;
      return [];
    });
    steps.push(...migrations.map((migration) => ({ ...migration, series })));
  }
  return steps;
}

/** A step's name in messages, after its series unless that is the service's. */
export function titleOf({ series, name }: Pick<Step, "series" | "name">): string {
  return series === SERVICE_SERIES.name ? name : `${series}/${name}`;
}
