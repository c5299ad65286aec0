import type { WalPositions } from "../cache/wal_position.ts";
import { findLostParts } from "../db/added_parts.ts";
import {
  isWritable,
  type KnownDatabase,
  noteRestore,
  readKnownDatabase,
  readWalPosition,
  storeDatabase,
} from "../db/known_database.ts";
import { isMissingRight, isMissingTable } from "../db/pg_errors.ts";
import { openSession } from "../db/session.ts";
import type { Sql } from "../db/sql.ts";
import { limitRepeats, type Log } from "../log.ts";

interface Deps {
  readonly databaseUrl: string;
  readonly walPositions?: WalPositions | undefined;
  readonly log: Log;
}

/**
 * Watches, over the turns of a relay, whether the database is restored from a backup. A worker with the
 * rights or on the tables of an earlier version goes on without it.
 */
export function createDatabaseWatch({ databaseUrl, walPositions, log }: Deps) {
  const logLimited = limitRepeats(log);
  /** As the turn began; undefined: it can't be read. */
  let known: KnownDatabase | undefined;
  let notesChanges = true;

  async function readKnown(sql: Sql): Promise<KnownDatabase | undefined> {
    try {
      return await readKnownDatabase(sql);
    } catch (error) {
      if (isMissingRight(error) || isMissingTable(error)) return undefined;
      throw error;
    }
  }

  async function readParts(sql: Sql): Promise<void> {
    const lost = (await findLostParts(sql)).filter(({ isTrigger }) => isTrigger);
    notesChanges = lost.length === 0;
    const fields = { missing: lost.map(({ name }) => name).join(" "), todo: "deno task migrate" };
    if (!notesChanges) logLimited("triggers", "warn", "changes_not_noted", fields);
  }

  async function storePosition(sql: Sql): Promise<void> {
    const position = walPositions && await readWalPosition(sql);
    if (position !== undefined) await walPositions?.set(position);
  }

  async function isEarlier(sql: Sql): Promise<boolean> {
    const position = walPositions && await readWalPosition(sql);
    return position !== undefined && await walPositions?.isEarlier(position) === true;
  }

  async function noteWhatChanged(sql: Sql): Promise<void> {
    await storeDatabase(sql);
    const isCertain = await isEarlier(sql);
    if (!isCertain && !(await readKnownDatabase(sql))?.isOther) return;
    await using session = openSession(databaseUrl, { name: "lotline-restore" });
    if (await noteRestore(session.sql, isCertain)) {
      log("warn", "database_restored", { todo: "deno task restored" });
    }
  }

  return {
    /** Whether triggers note all changes. Without them no cached response is used. */
    get notesChanges() {
      return notesChanges;
    },
    /** Notes a restore before a turn begins. */
    async begin(sql: Sql): Promise<void> {
      try {
        if (await isWritable(sql)) await noteWhatChanged(sql);
      } catch (error) {
        if (!isMissingRight(error) && !isMissingTable(error)) throw error;
        logLimited("note", "warn", "restore_not_noted", { todo: "deno task doctor" });
      }
      await storePosition(sql);
      known = await readKnown(sql);
      await readParts(sql);
    },
    /** Whether the database was restored, or a restore settled, since the turn began. */
    async wasRestored(sql: Sql): Promise<boolean> {
      const now = await readKnown(sql);
      if (now?.isOther !== known?.isOther || now?.version !== known?.version) return true;
      await storePosition(sql);
      await readParts(sql);
      return false;
    },
  };
}

export type DatabaseWatch = ReturnType<typeof createDatabaseWatch>;
