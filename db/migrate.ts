import { delay } from "../timing.ts";
import { findLostParts, type LostPart } from "./added_parts.ts";
import { connect } from "./connect.ts";
import {
  type AppliedStep,
  type Journal,
  readJournal,
  recordStep,
  SCHEMA_LOCK,
  SPLIT_JOURNAL,
} from "./journal.ts";
import { findLockHolder } from "./lock_holders.ts";
import {
  describeBlockers,
  REPORT_AFTER_MS,
  REPORT_EVERY_MS,
  type StepWatch,
  waitForTurn,
  watchStep,
} from "./migration_waits.ts";
import {
  ALL_SERIES,
  readSteps,
  type Series,
  SERVICE_SERIES,
  type Step,
  titleOf,
} from "./migrations.ts";
import { missingRights, ownerNeeded } from "./migration_rights.ts";
import { differencesFromOldSchema } from "./old_schema.ts";
import { isLockTimeout, isMissingRight, isResponse } from "./pg_errors.ts";
import { oneRow } from "./one_row.ts";
import { isTooOld, problem } from "./problems.ts";
import { openSession } from "./session.ts";
import type { Sql } from "./sql.ts";

const LOCK_POLL_MS = 200;

/** A failed migration; the message says whether it left something. */
export class MigrationError extends Error {
  override name = "MigrationError";
}

/**
 * Brings a database up to date. An empty one gets the old server's schema first; one that has it is
 * used as it is. Each step happens wholly or not at all; concurrent runs take turns. The steps of a
 * later version, and those of a series whose folder is gone, stay as they are. What the old tables have
 * lost of an applied step, since they were restored from a backup without it, is made again.
 *
 * @param report called with a line for each step that was applied, and for each wait of over a second
 * @throws {MigrationError} when a step fails, an applied step's file was edited, or the existing tables
 * aren't the old server's
 */
export async function migrate(
  url: string,
  report: (line: string) => void,
  allSeries: readonly Series[] = ALL_SERIES,
): Promise<void> {
  const steps = await readSteps(allSeries);
  // Without the timeouts of a request: building an index on a large table takes as long as it takes.
  await using session = openSession(url, { name: "lotline-migrate" });
  const { sql } = session;
  await refuseOldServer(sql);
  await takeTurn(sql, report);
  await refuseForeignSchema(sql);
  const journal = await readOwnJournal(sql);
  const due = allSeries.flatMap(({ name }) =>
    stepsDue(
      steps.filter(({ series }) => series === name),
      journal.steps.filter(({ series }) => series === name),
    )
  );
  reportLaterSteps(steps, journal, report);
  const lost = await lostSteps(sql, steps, journal);
  const all = [...due, ...lost.map(({ step }) => step)];
  if (all.length > 0) await refuseWithoutRights(sql, all);
  await using watcher = await openWatcher(url, sql);
  const timed = async (title: string, work: (watch: StepWatch) => Promise<void>) => {
    const started = performance.now();
    await work(watchStep({ ...watcher, title, report }));
    report(`${title}: done in ${Math.round(performance.now() - started)} ms`);
  };
  if (journal.isUnsplit) {
    await timed("journal split into series", (watch) => splitJournal(sql, watch));
  }
  for (const { step, part } of lost) {
    await timed(`${titleOf(step)}, again`, (watch) => applyAgain(sql, step, part, watch));
  }
  for (const step of due) await timed(titleOf(step), (watch) => apply(sql, step, watch));
}

/** Applied steps that a later version of Lotline has, as after a downgrade. */
function reportLaterSteps(
  steps: readonly Step[],
  journal: Journal,
  report: (line: string) => void,
): void {
  const known = new Set(steps.map(titleOf));
  const series = new Set(steps.map((step) => step.series));
  for (const done of journal.steps) {
    if (!series.has(done.series) || known.has(titleOf(done))) continue;
    report(`The database has ${titleOf(done)} of a later Lotline, which stays`);
  }
}

/** The applied steps of which the old tables have lost something. */
async function lostSteps(sql: Sql, steps: readonly Step[], journal: Journal) {
  if (journal.steps.length === 0) return [];
  const isService = ({ series }: { readonly series: string }) => series === SERVICE_SERIES.name;
  const applied = new Set(journal.steps.filter(isService).map(({ name }) => name));
  const byName = new Map(steps.filter(isService).map((step) => [step.name, step]));
  return (await findLostParts(sql)).flatMap((part) => {
    const step = byName.get(part.name);
    return step !== undefined && applied.has(part.name) ? [{ step, part }] : [];
  });
}

/** A connection beside the migration's, which may be waiting; it is opened when a step takes long. */
async function openWatcher(url: string, migrating: Sql) {
  const { pid } = oneRow(await migrating<{ pid: number }[]>`select pg_backend_pid() as pid`);
  const sql = connect({ url, max: 1, name: "lotline-migrate-watch" });
  return { sql, pid, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) };
}

/**
 * Waits for the lock of one run at a time, which ends with the connection. It polls, since a session
 * that waits inside PostgreSQL holds a snapshot, for which an index that the other run builds
 * concurrently would wait: a deadlock.
 */
async function takeTurn(sql: Sql, report: (line: string) => void): Promise<void> {
  let reportAt = performance.now() + REPORT_AFTER_MS;
  for (;;) {
    const [row] = await sql<{ mine: boolean }[]>`
      select pg_try_advisory_lock(${SCHEMA_LOCK}) as mine`;
    if (row?.mine) return;
    if (performance.now() >= reportAt) {
      reportAt = performance.now() + REPORT_EVERY_MS;
      const holder = await findLockHolder(sql, SCHEMA_LOCK);
      if (holder !== undefined) report(waitForTurn(holder));
    }
    await delay(LOCK_POLL_MS);
  }
}

async function refuseOldServer(sql: Sql): Promise<void> {
  const { version } = oneRow(
    await sql<{ version: number }[]>`
      select current_setting('server_version_num')::int as version`,
  );
  if (!isTooOld(version)) return;
  const { sentence, todo } = problem("old_server");
  throw new MigrationError(`${sentence}: ${todo}; nothing was changed`);
}

async function refuseForeignSchema(sql: Sql): Promise<void> {
  const differences = await differencesFromOldSchema(sql);
  if (differences.length === 0) return;
  throw new MigrationError(
    "This database isn't the old server's as Lotline knows it; nothing was changed:\n" +
      differences.map((difference) => `  ${difference}`).join("\n"),
  );
}

async function readOwnJournal(sql: Sql): Promise<Journal> {
  try {
    return await readJournal(sql);
  } catch (cause) {
    if (!isMissingRight(cause) || !(cause instanceof Error)) throw cause;
    throw new MigrationError(`Nothing was changed: ${cause.message}${await ownerNeeded(sql)}`, {
      cause,
    });
  }
}

async function refuseWithoutRights(sql: Sql, due: readonly Step[]): Promise<void> {
  const sentence = await missingRights(sql, due);
  if (sentence !== undefined) throw new MigrationError(`Nothing was changed: ${sentence}`);
}

/**
 * Of the steps of a series, those that the database doesn't have.
 * @throws {MigrationError} when the database has another one in the place of one of these
 */
function stepsDue(steps: readonly Step[], applied: readonly AppliedStep[]): readonly Step[] {
  // The part of Lotline that the series belongs to was removed.
  if (steps.length === 0) return [];
  for (const [index, done] of applied.entries()) {
    const step = steps[index];
    // A later version's: this code works with it (docs/upgrading.md).
    if (step === undefined) break;
    const title = titleOf(done);
    if (step.checksum !== done.checksum || step.name !== done.name) {
      throw new MigrationError(`${title} was applied, but its file has changed since`);
    }
  }
  return steps.slice(applied.length);
}

// While a step waits for a lock, others wait behind it for the same table: it waits briefly and
// repeatedly, with pauses for the others.
const BEGIN = "begin; set local lock_timeout = '300ms'";
const LOCK_TRIES = 6;
const BETWEEN_LOCK_TRIES_MS = 400;

async function apply(sql: Sql, step: Step, watch: StepWatch): Promise<void> {
  const { statements, undo } = step;
  await untilLocked(sql, { title: titleOf(step), undo, watch }, async () => {
    // An interrupted run may have left something that only looks finished.
    await sql.unsafe(undo ?? BEGIN);
    await sql.unsafe(statements);
    await recordStep(sql, step);
    if (undo === undefined) await sql.unsafe("commit");
  });
}

// What was changed meanwhile was noted nowhere: the next relay takes everything for changed.
const LOSE_CHANGES = "select nextval('lotline.lost_changes')";

async function applyAgain(
  sql: Sql,
  step: Step,
  { undo, isTrigger }: LostPart,
  watch: StepWatch,
): Promise<void> {
  const { statements } = step;
  const options = { title: titleOf(step), undo: isTrigger ? undefined : undo, watch };
  await untilLocked(sql, options, async () => {
    if (!isTrigger) {
      await sql.unsafe(undo);
      await sql.unsafe(statements);
    } else {
      await sql.unsafe(`${BEGIN}; ${undo}; ${statements}; ${LOSE_CHANGES}; commit`);
    }
  });
}

async function splitJournal(sql: Sql, watch: StepWatch): Promise<void> {
  await untilLocked(sql, { title: "Splitting the journal", watch }, async () => {
    await sql.unsafe(`${BEGIN}; ${SPLIT_JOURNAL}; commit`);
  });
}

/** Runs `once` until it gets its locks, at most {@link LOCK_TRIES} times, and undoes what failed. */
async function untilLocked(
  sql: Sql,
  { title, undo, watch }: {
    readonly title: string;
    readonly undo?: string | undefined;
    readonly watch: StepWatch;
  },
  once: () => Promise<void>,
): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await watch.during(once);
    } catch (cause) {
      if (!isResponse(cause)) {
        throw new MigrationError(
          `The connection was lost during ${title}: run it again, it repairs what may be left (${cause})`,
          { cause },
        );
      }
      await sql.unsafe(undo ?? "rollback").catch((error) => {
        throw new MigrationError(
          `${title} failed: ${cause.message}; what it left is removed by the next run (${error})`,
          { cause },
        );
      });
      if (!isLockTimeout(cause) || tries === LOCK_TRIES) {
        const waited = isLockTimeout(cause) && watch.blockers.length > 0
          ? `: it waited for ${describeBlockers(watch.blockers)}`
          : isMissingRight(cause)
          ? await ownerNeeded(sql)
          : "";
        throw new MigrationError(
          `${title} failed and left nothing behind: ${cause.message}${waited}`,
          { cause },
        );
      }
    }
    await delay(BETWEEN_LOCK_TRIES_MS);
  }
}
