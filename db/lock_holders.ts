import type { Sql } from "./sql.ts";

/*
 * Which connection has the lock that another one waits for. PostgreSQL doesn't store when a lock was
 * taken, only what its connection did since.
 */

/** A connection that has a lock. Without rights its times and its address are null. */
export interface LockHolder {
  /** 0: a prepared transaction, which has no connection. */
  readonly pid: number;
  /** Its `application_name`, or what it is of PostgreSQL's own processes. */
  readonly application: string;
  readonly user: string;
  /** Its IP address; null on a Unix socket, too. */
  readonly client: string | null;
  readonly connectedAt: string | null;
  /** When its open transaction began. */
  readonly transactionAt: string | null;
  /** Since when it has done nothing. */
  readonly idleAt: string | null;
  /** For how long (s) its state is the same: since its last statement began or ended. */
  readonly silentS: number | null;
}

// Each user may see these of all connections: number, name, user. The rest needs the same role or
// pg_read_all_stats. Control characters could steer a terminal.
const HOLDER = String.raw`
  coalesce(nullif(application_name, ''), backend_type, '') as application,
  regexp_replace(coalesce(usename, ''), '[[:cntrl:]]', '?', 'g') as "user",
  host(client_addr) as client,
  backend_start as "connectedAt", xact_start as "transactionAt",
  case when state like 'idle%' then state_change end as "idleAt",
  extract(epoch from clock_timestamp() - state_change)::float8 as "silentS"`;

/** The rows of `pg_locks` that hold the advisory lock `key` of this database, as a condition. */
export const holdsLock = (key: number) => `
  locktype = 'advisory' and classid = 0 and objid = ${key} and objsubid = 1 and granted
  and database = (select oid from pg_database where datname = current_database())`;

/** Who has the advisory lock; undefined when it is free. */
export async function findLockHolder(sql: Sql, key: number): Promise<LockHolder | undefined> {
  const [holder] = await sql.unsafe<LockHolder[]>(`
    select pid, ${HOLDER} from pg_locks left join pg_stat_activity activity using (pid)
    where ${holdsLock(key)} limit 1`);
  return holder;
}

const MAX_BLOCKERS = 5;

/** Which connections the one with this number waits for: the first {@link MAX_BLOCKERS}. */
export async function listBlockers(sql: Sql, pid: number): Promise<LockHolder[]> {
  return await sql.unsafe<LockHolder[]>(
    `
    select blocker.pid, ${HOLDER}
    from (select distinct unnest(pg_blocking_pids($1)) as pid) blocker
      left join pg_stat_activity activity using (pid)
    order by xact_start, pid limit ${MAX_BLOCKERS}`,
    [pid],
  );
}

/** Whether it is a process of this `application_name`, to which an address may add something. */
export function isNamed({ application }: LockHolder, name: string): boolean {
  return application === name || application.startsWith(`${name}/`);
}

/** Such as "connection 4711 (psql, plant@10.0.0.7, connected since …, idle since …)". */
export function describeHolder(holder: LockHolder): string {
  const { pid, application, user, client, connectedAt, transactionAt, idleAt } = holder;
  if (pid === 0) return "a prepared transaction (pg_prepared_xacts lists them)";
  const times = [
    connectedAt === null ? "this user may not see since when" : `connected since ${connectedAt}`,
    transactionAt !== null && `in a transaction since ${transactionAt}`,
    idleAt !== null && `idle since ${idleAt}`,
  ];
  const who = client === null ? user : `${user}@${client}`;
  return `connection ${pid} (${[application, who, ...times].filter(Boolean).join(", ")})`;
}

/** The statement with which an operator ends it. */
export const endingOf = ({ pid }: Pick<LockHolder, "pid">) => `select pg_terminate_backend(${pid})`;
