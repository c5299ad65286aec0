import { z } from "zod";
import { ApiSettings, SharedSettings } from "../config.ts";

/** The settings of `deno task keys`. */
export const KeysSettings = z.object({ JWT_KEYS_FILE: ApiSettings.shape.JWT_KEYS_FILE });

/** The settings of `deno task user`. */
export const UserSettings = SharedSettings.pick({ DATABASE_URL: true, VALKEY_URL: true });
