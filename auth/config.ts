import { z } from "zod";
import { ApiSettings, SharedSettings } from "../config.ts";

export const KeysSettings = z.object({ JWT_KEYS_FILE: ApiSettings.shape.JWT_KEYS_FILE });

export const UserSettings = SharedSettings.pick({
  DATABASE_URL: true,
  DATABASE_POOLER: true,
  DATABASE_DIRECT_URL: true,
  VALKEY_URL: true,
  VALKEY_CA_FILE: true,
});
