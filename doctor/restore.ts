import { connectValkey } from "../cache/valkey.ts";
import { createWalPositions } from "../cache/wal_position.ts";
import { findLostParts, type LostPart } from "../db/added_parts.ts";
import { type KnownDatabase, readKnownDatabase, readWalPosition } from "../db/known_database.ts";
import type { Sql } from "../db/sql.ts";
import type { Finding } from "../db/readiness_checks.ts";
import { delay } from "../timing.ts";
import type { DatabaseCheck } from "./checks.ts";
import { note, ok, warning } from "./findings.ts";
import type { Settings } from "./settings.ts";

/** Whether the database was restored from a backup, and what has to be done then. */
export const restore: DatabaseCheck = {
  name: "restore",
  needs: "primary",
  async run({ sql, settings }) {
    const [known, isEarlier, lost] = await Promise.all([
      readKnownDatabase(sql),
      isEarlierServer(sql, settings),
      findLostParts(sql),
    ]);
    return restoreFindings({ known, isEarlier, lost });
  },
};

interface Restore {
  /** Undefined: no worker has looked yet. */
  readonly known: KnownDatabase | undefined;
  /** Whether PostgreSQL was further once. */
  readonly isEarlier: boolean;
  readonly lost: readonly Pick<LostPart, "name">[];
}

const STEPS = "follow docs/backups.md, then run deno task restored";

export function restoreFindings({ known, isEarlier, lost }: Restore): readonly Finding[] {
  const check = "restore";
  const parts = lost.map(({ name }) =>
    warning(check, `The old tables have lost what ${name} adds`, "run deno task migrate")
  );
  if (known?.isOther) {
    return [warning(check, "The tables were made anew: they were restored", STEPS), ...parts];
  }
  if (isEarlier) {
    return [
      warning(check, "PostgreSQL is at an earlier time than it was: it was restored", STEPS),
      ...parts,
    ];
  }
  if (known !== undefined && !known.isSettled) {
    const message = `A restore was noticed at ${known.restoredAt}, and isn't settled`;
    return [warning(check, message, STEPS), ...parts];
  }
  if (parts.length > 0) return parts;
  if (known === undefined) return [note(check, "No worker has stored which database this is")];
  return [ok(
    check,
    known.restoredAt === null
      ? "No restore was noticed"
      : `The restore that was noticed at ${known.restoredAt} is settled`,
  )];
}

const CONNECT_MS = 2_000;
const RETRY_MS = 50;

/** False as well without Valkey. */
async function isEarlierServer(sql: Sql, { valkeyUrl, valkeyCaFile }: Settings): Promise<boolean> {
  const position = await readWalPosition(sql);
  if (valkeyUrl === undefined || position === undefined) return false;
  let isDown = false;
  const log = (_: string, event: string) => isDown ||= event === "valkey_down";
  const valkey = connectValkey(valkeyUrl, log, { caFile: valkeyCaFile });
  try {
    const deadline = performance.now() + CONNECT_MS;
    while (!isDown && performance.now() < deadline && !await valkey.isUsable()) {
      await delay(RETRY_MS);
    }
    return await createWalPositions(valkey).isEarlier(position);
  } finally {
    valkey.close();
  }
}
