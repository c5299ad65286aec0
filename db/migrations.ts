import { createHash } from "node:crypto";

/** One numbered step of the schema, as its file says it. */
export interface Migration {
  readonly number: number;
  /** The file's name without its ending, such as `0001_old_schema`. */
  readonly name: string;
  readonly statements: string;
  /** SHA-256 of the file: a step that was applied must never be edited. */
  readonly checksum: string;
  /**
   * Set for a step that can't run in a transaction (an index built concurrently): the statement
   * that removes what a broken try of it left behind.
   */
  readonly undo: string | undefined;
}

const NAME = /^(\d{4})_\w+\.sql$/;
const UNDO = /^-- outside a transaction; undo: (.+)$/m;

/** A folder of migrations that can't be used: a gap, a number used twice, an odd name. */
export class MigrationFolderError extends Error {
  override name = "MigrationFolderError";
}

/**
 * The migrations in a folder, in their order.
 * @throws {MigrationFolderError}
 */
export async function readMigrations(folder: URL): Promise<readonly Migration[]> {
  const migrations: Migration[] = [];
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
