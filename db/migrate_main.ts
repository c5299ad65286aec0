import postgres from "postgres";
import { ConfigError, readSettings } from "../config.ts";
import { toApiError } from "../errors.ts";
import { MigrateSettings } from "./config.ts";
import { migrate, MigrationError } from "./migrate.ts";
import { MigrationFolderError } from "./migrations.ts";

// deno task migrate
try {
  const { DATABASE_URL } = readSettings(MigrateSettings, Deno.env.toObject());
  await migrate(DATABASE_URL, console.log);
} catch (error) {
  if (toApiError(error).code === "database_away") {
    console.error("PostgreSQL does not answer at DATABASE_URL");
  } else if (
    error instanceof ConfigError || error instanceof MigrationError ||
    error instanceof MigrationFolderError
  ) {
    console.error(error.message);
  } else if (error instanceof postgres.PostgresError) {
    console.error(`PostgreSQL at DATABASE_URL refuses: ${error.message}`);
  } else throw error;
  Deno.exit(1);
}
