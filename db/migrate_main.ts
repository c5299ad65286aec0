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
import { findZones, TimeZoneError, warningOf } from "./time_zone_sources.ts";

await runMain(
  { told: [MigrationError, MigrationFolderError, TimeZoneError], misused: 1 },
  async () => {
    const { DATABASE_URL, TIME_ZONE } = readSettings(MigrateSettings, Deno.env.toObject());
    const warning = await warningAbout(DATABASE_URL, TIME_ZONE);
    await migrate(DATABASE_URL, console.log);
    if (warning !== undefined) console.log(warning);
  },
);

/** @throws {TimeZoneError}; other errors are those of the migration, which says them better */
async function warningAbout(url: string, setting: string | undefined) {
  try {
    return warningOf(await findZones(url, setting));
  } catch (error) {
    if (error instanceof TimeZoneError) throw error;
    return undefined;
  }
}
