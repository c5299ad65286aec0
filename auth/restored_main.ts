/**
 * `deno task restored`: what a restore from a backup needs besides the restored rows. It can be
 * repeated.
 *
 * @module
 */

import { connectValkey } from "../cache/valkey.ts";
import { createWalPositions } from "../cache/wal_position.ts";
import { runMain } from "../command_line.ts";
import { readSettings } from "../config.ts";
import { type DirectAddress, directAddress } from "../db/direct_address.ts";
import { openSession } from "../db/session.ts";
import { columns } from "../terminal.ts";
import { UserSettings } from "./config.ts";
import { settleAfterRestore } from "./restored.ts";
import { untilUsable } from "./until_usable.ts";

let address: DirectAddress | undefined;
await runMain({
  task: "restored",
  settings: [UserSettings],
  exit: "0 done; 1 failed; 2 wrong usage or settings",
  notes:
    `Run it once after each restore of the database, before the processes are started: it ends all
login tokens, disables the accounts again that Valkey knows as disabled, and marks all stored traces
as out of date. It deletes no row of the plant. Valkey must not be emptied before.`,
  setting: () => address?.setting,
}, async () => {
  const settings = readSettings(UserSettings, Deno.env.toObject());
  const { VALKEY_URL, VALKEY_CA_FILE: caFile } = settings;
  address = directAddress(settings);
  await using session = openSession(address.url, { name: "lotline-restored" });
  const valkey = VALKEY_URL === undefined
    ? undefined
    : connectValkey(VALKEY_URL, () => {}, { caFile });
  try {
    await untilUsable(valkey);
    const done = await settleAfterRestore(
      session.sql,
      valkey,
      valkey && createWalPositions(valkey),
    );
    console.log("All stored traces are out of date, and the cache begins empty.");
    console.log(`The login tokens of ${done.ended} accounts have ended; people log in again.`);
    if (done.changed === undefined) {
      console.log("Valkey can't be read, so this can't say which accounts were changed since.");
    } else if (done.changed.length === 0) {
      console.log("Valkey knows no account that was changed since the backup.");
    } else {
      console.log("Changed since the backup, as Valkey knows it:");
      console.log(columns(["account", "id", "now"], done.changed.map(rowOf)));
    }
    console.log("Accounts that were changed by SQL are as they were in the backup.");
  } finally {
    valkey?.close();
  }
});

function rowOf({ id, email, isDisabled }: {
  readonly id: string;
  readonly email: string | undefined;
  readonly isDisabled: boolean;
}): readonly string[] {
  return [
    email ?? "(not in the backup)",
    id,
    isDisabled ? "disabled again" : "set its password or role again: deno task user",
  ];
}
