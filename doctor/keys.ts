import { KeyFileError } from "../auth/key_file.ts";
import { loadSigningKeys } from "../auth/keys.ts";
import type { LocalCheck } from "./checks.ts";
import { failure, ok } from "./findings.ts";

/** The file with the keys that sign tokens. */
export const keys: LocalCheck = {
  name: "keys",
  async run({ keyFile }) {
    if (keyFile === undefined) return [];
    try {
      const { published } = await loadSigningKeys(keyFile);
      return [ok("keys", `JWT_KEYS_FILE can be used: ${published.keys.length} keys`)];
    } catch (error) {
      if (!(error instanceof KeyFileError)) throw error;
      return [failure("keys", error.message, "docs/setup.md explains deno task keys")];
    }
  },
};
