/**
 * `deno task migrate`: brings the database at `DATABASE_DIRECT_URL`, or else at `DATABASE_URL`, up to
 * date.
 *
 * @module
 */

import { runMain } from "../command_line.ts";
import { readSettings } from "../config.ts";
import { MigrateSettings } from "./config.ts";
import {
  type DirectAddress,
  directAddress,
  DirectAddressError,
  requireDirect,
} from "./direct_address.ts";
import { migrate, MigrationError } from "./migrate.ts";
import { MigrationFolderError } from "./migrations.ts";
import { findZones, TimeZoneError, warningOf } from "./time_zone_sources.ts";

let address: DirectAddress | undefined;
await runMain(
  {
    task: "migrate",
    settings: [MigrateSettings],
    exit: "0 the database is up to date; 1 not so, or settings are missing",
    told: [DirectAddressError, MigrationError, MigrationFolderError, TimeZoneError],
    misused: 1,
    setting: () => address?.setting,
  },
  async () => {
    const settings = readSettings(MigrateSettings, Deno.env.toObject());
    address = directAddress(settings);
    await requireDirect(address, "migrate");
    const warning = await warningAbout(address.url, settings.TIME_ZONE);
    await migrate(address.url, console.log);
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
