/**
 * `deno task migrate`: brings the database at `DATABASE_URL` up to date.
 *
 * @module
 */

import { runMain } from "../command_line.ts";
import { readSettings } from "../config.ts";
import { MigrateSettings } from "./config.ts";
import { migrate, MigrationError } from "./migrate.ts";
import { MigrationFolderError } from "./migrations.ts";

await runMain(
  { told: [MigrationError, MigrationFolderError], misused: 1 },
  async () => {
    const { DATABASE_URL } = readSettings(MigrateSettings, Deno.env.toObject());
    await migrate(DATABASE_URL, console.log);
  },
);
