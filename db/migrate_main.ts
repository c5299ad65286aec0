/**
 * `deno task migrate`: brings the database at `DATABASE_URL` up to date.
 *
 * @module
 */

import postgres from "postgres";
import { runMain } from "../command_line.ts";
import { readSettings } from "../config.ts";
import { MigrateSettings } from "./config.ts";
import { migrate, MigrationError } from "./migrate.ts";
import { MigrationFolderError } from "./migrations.ts";
import { isUnavailable } from "./pg_errors.ts";

await runMain(
  { told: [MigrationError, MigrationFolderError], sentenceFor, misused: 1 },
  async () => {
    const { DATABASE_URL } = readSettings(MigrateSettings, Deno.env.toObject());
    await migrate(DATABASE_URL, console.log);
  },
);

function sentenceFor(error: unknown): string | undefined {
  if (isUnavailable(error)) return "PostgreSQL does not answer at DATABASE_URL";
  return error instanceof postgres.PostgresError
    ? `PostgreSQL at DATABASE_URL refuses: ${error.message}`
    : undefined;
}
