import { deepStrictEqual, notStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { OLD_TABLES } from "../testing/old_database.ts";
import { migrationFolder } from "../testing/migration_folder.ts";
import {
  ALL_SERIES,
  MigrationFolderError,
  readMigrations,
  readSteps,
  SERVICE_SERIES,
  titleOf,
} from "./migrations.ts";

const CREATE_INDEX = /^create (?:unique )?index (concurrently)?[^;]*? on ([\w.]+)/gim;

Deno.test("migrations are sorted by their numbers", async () => {
  await using folder = await migrationFolder({
    "0003_c.sql": "select 3",
    "0001_a.sql": "select 1",
    "0002_b.sql": "select 2",
  });
  const migrations = await readMigrations(folder.url);
  deepStrictEqual(
    migrations.map(({ number, name, statements }) => [number, name, statements]),
    [[1, "0001_a", "select 1"], [2, "0002_b", "select 2"], [3, "0003_c", "select 3"]],
  );
});

Deno.test("a step's comments say that it runs outside a transaction, and how to undo it", async () => {
  await using folder = await migrationFolder({
    "0001_a.sql": "create table a ()",
    "0002_b.sql":
      "-- outside a transaction; undo: drop index b\ncreate index concurrently b on a (x)",
  });
  const migrations = await readMigrations(folder.url);
  deepStrictEqual(migrations.map(({ undo }) => undo), [undefined, "drop index b"]);
});

Deno.test("any edit of a file changes its checksum", async () => {
  await using folder = await migrationFolder({ "0001_a.sql": "select 1" });
  const [before] = await readMigrations(folder.url);
  const [again] = await readMigrations(folder.url);
  await folder.write("0001_a.sql", "select 1 ");
  const [after] = await readMigrations(folder.url);
  strictEqual(again?.checksum, before?.checksum);
  notStrictEqual(after?.checksum, before?.checksum);
});

const UNUSABLE = [
  { what: "a gap", files: ["0001_a.sql", "0003_c.sql"], says: "0003_c stands where number 2 must" },
  { what: "a missing first", files: ["0002_b.sql"], says: "0002_b stands where number 1 must" },
  { what: "a number zero", files: ["0000_a.sql"], says: "0000_a stands where number 1 must" },
  {
    what: "a number used twice",
    files: ["0001_a.sql", "0002_b.sql", "0002_c.sql"],
    says: "stands where number 3 must",
  },
  { what: "a file without a number", files: ["a.sql"], says: "a.sql is not named 0001_name.sql" },
  { what: "a short number", files: ["1_a.sql"], says: "1_a.sql is not named" },
  { what: "a number without a name", files: ["0001.sql"], says: "0001.sql is not named" },
  { what: "another ending", files: ["0001_a.sql.old"], says: "0001_a.sql.old is not named" },
  { what: "an odd letter", files: ["0001_a-b.sql"], says: "0001_a-b.sql is not named" },
];

for (const { what, files, says } of UNUSABLE) {
  Deno.test(`a folder with ${what} is refused`, async () => {
    await using folder = await migrationFolder(
      Object.fromEntries(files.map((file) => [file, "select 1"])),
    );
    await rejects(
      readMigrations(folder.url),
      (error) => error instanceof MigrationFolderError && error.message.includes(says),
    );
  });
}

Deno.test("each index on an old table is built without blocking writers", async () => {
  for (const { name, statements, undo } of await readSteps(ALL_SERIES)) {
    for (const [, how, table] of statements.matchAll(CREATE_INDEX)) {
      if (table === undefined || !(table in OLD_TABLES)) continue;
      strictEqual(how, "concurrently", `${name} builds an index on ${table}`);
      notStrictEqual(undo, undefined, `${name} does not say how to remove a broken index`);
    }
  }
});

Deno.test("series are listed one after the other, each with its own numbers, and each step names its series", async () => {
  await using one = await migrationFolder({ "0001_a.sql": "select 1", "0002_b.sql": "select 2" });
  await using other = await migrationFolder({ "0001_c.sql": "select 3" });
  const steps = await readSteps([
    { ...SERVICE_SERIES, folder: one.url },
    { name: "other", folder: other.url },
  ]);
  deepStrictEqual(steps.map(titleOf), ["0001_a", "0002_b", "other/0001_c"]);
});

Deno.test("a series without its folder has no steps, but the service's folder must exist", async () => {
  await using folder = await migrationFolder({ "0001_a.sql": "select 1" });
  const gone = new URL("gone/", folder.url);
  const service = { ...SERVICE_SERIES, folder: folder.url };
  const steps = await readSteps([service, { name: "other", folder: gone }]);
  deepStrictEqual(steps.map(titleOf), ["0001_a"]);
  await rejects(readSteps([{ ...SERVICE_SERIES, folder: gone }]), Deno.errors.NotFound);
});
