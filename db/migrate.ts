import postgres from "postgres";
import { type Migration, readMigrations } from "./migrations.ts";
import { differencesFromOldSchema } from "./old_schema.ts";
import { openSession } from "./session.ts";

const FOLDER = new URL("./migrations/", import.meta.url);

// Any number will do, as long as nothing else in the database locks the same one.
const LOCK = 5_684_631;
const LOCK_POLL_MS = 200;

/** A migration that could not be done; the message says whether something of it is left. */
export class MigrationError extends Error {
  override name = "MigrationError";
}

/**
 * Brings a database up to date: an empty one gets the old server's schema first, one that has it
 * is adopted as it is. Each step happens wholly or not at all; two runs at once take turns.
 *
 * @param report is told each step that was taken, one line each; nothing when there was none
 * @throws {MigrationError} when a step fails, when an applied step's file was edited, or when the
 * tables that are there aren't the old server's
 */
export async function migrate(
  url: string,
  report: (line: string) => void,
  folder: URL = FOLDER,
): Promise<void> {
  const migrations = await readMigrations(folder);
  // Without the timeouts of a request: building an index on a large table takes as long as it takes.
  await using session = openSession(url, { name: "lotline-migrate" });
  const { sql } = session;
  await takeTurn(sql);
  await refuseForeignSchema(sql);
  const applied = await appliedMigrations(sql);
  refuseEdited(migrations, applied);
  for (const migration of migrations.slice(applied.length)) {
    const started = performance.now();
    await apply(sql, migration);
    report(`${migration.name}: done in ${Math.round(performance.now() - started)} ms`);
  }
}

/**
 * Waits for the lock that one run at a time has; closing the connection gives it back. It polls,
 * because a session that waits inside PostgreSQL holds a snapshot, and the index that the other
 * run builds concurrently would wait for that snapshot: a deadlock.
 */
async function takeTurn(sql: postgres.Sql): Promise<void> {
  for (;;) {
    const [row] = await sql<{ mine: boolean }[]>`select pg_try_advisory_lock(${LOCK}) as mine`;
    if (row?.mine) return;
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
}

async function refuseForeignSchema(sql: postgres.Sql): Promise<void> {
  const differences = await differencesFromOldSchema(sql);
  if (differences.length === 0) return;
  throw new MigrationError(
    "This database isn't the old server's as Lotline knows it; nothing was changed:\n" +
      differences.map((difference) => `  ${difference}`).join("\n"),
  );
}

async function appliedMigrations(
  sql: postgres.Sql,
): Promise<readonly { name: string; checksum: string }[]> {
  const [journal] = await sql<{ there: boolean }[]>`
    select to_regclass('lotline.migrations') is not null as there`;
  if (!journal?.there) return [];
  return await sql<{ name: string; checksum: string }[]>`
    select name, checksum from lotline.migrations order by number`;
}

function refuseEdited(
  migrations: readonly Migration[],
  applied: readonly { name: string; checksum: string }[],
): void {
  for (const [index, { name, checksum }] of applied.entries()) {
    const migration = migrations[index];
    if (migration === undefined) {
      throw new MigrationError(`The database has ${name} already: this Lotline is older than it`);
    }
    if (migration.checksum !== checksum || migration.name !== name) {
      throw new MigrationError(`${name} was applied, but its file has changed since`);
    }
  }
}

// While a step waits for a lock, whoever wants one on the same table waits behind it: it waits
// briefly, some times over, with time for the others in between.
const BEGIN = "begin; set local lock_timeout = '300ms'";
const LOCK_TRIES = 6;
const BETWEEN_LOCK_TRIES_MS = 400;

async function apply(sql: postgres.Sql, migration: Migration): Promise<void> {
  const { name, undo } = migration;
  for (let tries = 1;; tries++) {
    try {
      return await applyOnce(sql, migration);
    } catch (cause) {
      if (!isAnswer(cause)) {
        throw new MigrationError(
          `The connection was lost during ${name}: run it again, it heals what may be left (${cause})`,
          { cause },
        );
      }
      await sql.unsafe(undo ?? "rollback").catch((error) => {
        throw new MigrationError(
          `${name} failed: ${cause.message}; what it left is removed by the next run (${error})`,
          { cause },
        );
      });
      if (cause.code !== LOCK_NOT_AVAILABLE || tries === LOCK_TRIES) {
        throw new MigrationError(`${name} failed and left nothing behind: ${cause.message}`, {
          cause,
        });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOCK_TRIES_MS));
  }
}

const LOCK_NOT_AVAILABLE = "55P03";

async function applyOnce(sql: postgres.Sql, migration: Migration): Promise<void> {
  // A try that was killed half way may have left something that only looks finished.
  await sql.unsafe(migration.undo ?? BEGIN);
  await sql.unsafe(migration.statements);
  await record(sql, migration);
  if (migration.undo === undefined) await sql.unsafe("commit");
}

/** Whether PostgreSQL has said this on a connection that goes on. */
function isAnswer(thrown: unknown): thrown is postgres.PostgresError {
  return thrown instanceof postgres.PostgresError && thrown.severity === "ERROR";
}

async function record(sql: postgres.Sql, migration: Migration): Promise<void> {
  await sql.unsafe(`
    create schema if not exists lotline;
    create table if not exists lotline.migrations (
      number int primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz not null default now()
    )`);
  await sql`
    insert into lotline.migrations (number, name, checksum)
    values (${migration.number}, ${migration.name}, ${migration.checksum})`;
}
