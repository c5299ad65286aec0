import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A folder with a test's own migrations; disposing removes it. */
interface MigrationFolder extends AsyncDisposable {
  readonly url: URL;
  /** Adds or overwrites one. */
  write(file: string, statements: string): Promise<void>;
  remove(file: string): Promise<void>;
}

/** Makes a folder with these migrations: their statements by file name. */
export async function migrationFolder(
  files: Readonly<Record<string, string>>,
): Promise<MigrationFolder> {
  const path = await Deno.makeTempDir({ prefix: "lotline-test-" });
  const write = (file: string, statements: string) =>
    Deno.writeTextFile(join(path, file), statements);
  for (const [file, statements] of Object.entries(files)) await write(file, statements);
  return {
    url: pathToFileURL(`${path}/`),
    write,
    remove: (file) => Deno.remove(join(path, file)),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
