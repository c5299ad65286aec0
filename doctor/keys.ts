import { KeyFileError, readKeyFile } from "../auth/key_file.ts";
import { type KeyAges, loadSigningKeys, MAX_SIGNING_DAYS, readKeyAges } from "../auth/keys.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { LocalCheck } from "./checks.ts";
import { failure, note, ok, warning } from "./findings.ts";

const DAY_MS = 86_400_000;
const VERY_OLD_DAYS = 365;

/** The file with the keys that sign tokens. */
export const keys: LocalCheck = {
  name: "keys",
  async run({ keyFile }) {
    if (keyFile === undefined) return [];
    try {
      await loadSigningKeys(keyFile);
      const { mtime } = await Deno.stat(keyFile);
      return keyFindings(readKeyAges(await readKeyFile(keyFile), mtime ?? new Date()), Date.now());
    } catch (error) {
      if (!(error instanceof KeyFileError)) throw error;
      return [failure("keys", error.message, "docs/setup.md explains deno task keys")];
    }
  },
};

export function keyFindings(
  { keys, since, next, unneeded }: KeyAges,
  now: number,
): readonly Finding[] {
  const check = "keys";
  const days = Math.floor((now - since.getTime()) / DAY_MS);
  const message = `JWT_KEYS_FILE has ${keys} ${keys === 1 ? "key" : "keys"}, and its signing key ` +
    `is ${days} ${days === 1 ? "day" : "days"} old`;
  const rotate = "replace it with deno task keys rotate, once a month for example";
  return [
    days >= VERY_OLD_DAYS
      ? warning(check, message, rotate)
      : days >= MAX_SIGNING_DAYS
      ? note(check, message, rotate)
      : ok(check, message),
    ...(next === undefined ? [] : [
      note(check, `A new key signs from ${next.toISOString()} on`),
    ]),
    ...(unneeded === 0 ? [] : [
      note(
        check,
        `JWT_KEYS_FILE has replaced keys whose tokens have ended: ${unneeded}`,
        "drop them with deno task keys prune",
      ),
    ]),
  ];
}
