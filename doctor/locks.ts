import { SCHEMA_LOCK } from "../db/journal.ts";
import {
  describeHolder,
  endingOf,
  findLockHolder,
  isNamed,
  listBlockers,
  type LockHolder,
} from "../db/lock_holders.ts";
import { isStuck, MIGRATING } from "../db/migration_waits.ts";
import { RELAY_LOCK } from "../db/outbox.ts";
import { timed } from "../db/query_deadline.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { Sql } from "../db/sql.ts";
import type { DatabaseCheck } from "./checks.ts";
import { note, ok, warning } from "./findings.ts";

/** A wait for a lock that is shorter is usual, in s. */
const WAITS_S = 1;
/** An idle connection whose transaction is open for longer is left over, in s. */
const IDLE_S = 60;
/** Of each kind. */
const MAX_SHOWN = 5;

/** Locks that others wait for, and connections that are left over with one. */
export const locks: DatabaseCheck = {
  name: "locks",
  needs: "nothing",
  async run({ sql }) {
    const [waits, idle, prepared, schema, relay] = await Promise.all([
      listWaits(sql),
      listIdleTransactions(sql),
      listPrepared(sql),
      findLockHolder(sql, SCHEMA_LOCK),
      findLockHolder(sql, RELAY_LOCK),
    ]);
    return lockFindings({ waits, idle, prepared, schema, relay });
  },
};

interface Wait {
  readonly pid: number;
  readonly application: string;
  readonly seconds: number;
  readonly blockers: readonly LockHolder[];
}

interface Locks {
  readonly waits: readonly Wait[];
  readonly idle: readonly { readonly pid: number; readonly application: string; seconds: number }[];
  readonly prepared: readonly { readonly gid: string; readonly seconds: number }[];
  /** Of migrations, and of the relay. */
  readonly schema: LockHolder | undefined;
  readonly relay: LockHolder | undefined;
}

const LOOK = "look at it in pg_stat_activity, and when it is left over, end it with: ";

export function lockFindings(
  { waits, idle, prepared, schema, relay }: Locks,
): readonly Finding[] {
  const check = "locks";
  const findings: Finding[] = [];
  const warn = (message: string, todo: string) => findings.push(warning(check, message, todo));
  for (const { pid, application, seconds, blockers } of waits) {
    const [first] = blockers;
    if (first === undefined) continue;
    warn(
      `Connection ${pid} (${application}) has waited ${Math.round(seconds)} s for ` +
        blockers.map(describeHolder).join(" and "),
      first.pid === 0 ? "end it with rollback prepared" : LOOK + endingOf(first),
    );
  }
  for (const { pid, application, seconds } of idle) {
    warn(
      `Connection ${pid} (${application}) has an open transaction and has been idle for ` +
        `${Math.round(seconds)} s`,
      LOOK + endingOf({ pid }),
    );
  }
  for (const { gid, seconds } of prepared) {
    warn(
      `The prepared transaction ${gid} has kept its locks for ${Math.round(seconds)} s`,
      "end it with commit prepared or rollback prepared",
    );
  }
  if (schema !== undefined) {
    const isExpected = MIGRATING.some((name) => isNamed(schema, name)) && !isStuck(schema);
    if (isExpected) findings.push(note(check, `A migration runs: ${describeHolder(schema)}`));
    else {
      warn(
        `Each migration waits: ${describeHolder(schema)} has their lock`,
        LOOK + endingOf(schema),
      );
    }
  }
  if (relay !== undefined && !isNamed(relay, "lotline-relay")) {
    warn(
      `No worker can relay changes: ${describeHolder(relay)} has the lock`,
      LOOK + endingOf(relay),
    );
  }
  return findings.length > 0 ? findings : [ok(check, "No lock is left over or waited for")];
}

async function listWaits(sql: Sql): Promise<readonly Wait[]> {
  const waits = await timed(sql)<Omit<Wait, "blockers">[]>`
    select pid, coalesce(max(application_name), '') as application,
      max(extract(epoch from clock_timestamp() - waitstart))::float8 as seconds
    from pg_locks left join pg_stat_activity using (pid)
    where not granted and waitstart < clock_timestamp() - make_interval(secs => ${WAITS_S})
      and (database is null or database in (
        0, (select oid from pg_database where datname = current_database())))
    group by pid order by seconds desc limit ${MAX_SHOWN}`;
  return await Promise.all(waits.map(async (wait) => ({
    ...wait,
    blockers: await listBlockers(sql, wait.pid),
  })));
}

async function listIdleTransactions(sql: Sql): Promise<Locks["idle"]> {
  return await timed(sql)<Locks["idle"][number][]>`
    select pid, application_name as application,
      extract(epoch from clock_timestamp() - state_change)::float8 as seconds
    from pg_stat_activity
    where datname = current_database() and state like 'idle in transaction%'
      and state_change < clock_timestamp() - make_interval(secs => ${IDLE_S})
    order by seconds desc limit ${MAX_SHOWN}`;
}

async function listPrepared(sql: Sql): Promise<Locks["prepared"]> {
  return await timed(sql)<Locks["prepared"][number][]>`
    select gid, extract(epoch from clock_timestamp() - prepared)::float8 as seconds
    from pg_prepared_xacts
    where database = current_database()
      and prepared < clock_timestamp() - make_interval(secs => ${IDLE_S})
    order by seconds desc limit ${MAX_SHOWN}`;
}
