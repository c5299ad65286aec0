import { SharedSettings } from "../config.ts";

/** The settings of `deno task migrate`. */
export const MigrateSettings = SharedSettings.pick({
  DATABASE_URL: true,
  DATABASE_POOLER: true,
  DATABASE_DIRECT_URL: true,
  TIME_ZONE: true,
});

/** The settings of `deno task grants --apply`. */
export const GrantsSettings = SharedSettings.pick({
  DATABASE_URL: true,
  DATABASE_POOLER: true,
  DATABASE_DIRECT_URL: true,
});
