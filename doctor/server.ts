import { statfs } from "node:fs/promises";
import { isTooOld, problem } from "../db/problems.ts";
import { oneRow } from "../db/one_row.ts";
import { listRunningProcesses } from "../db/processes.ts";
import { timed } from "../db/query_deadline.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { DatabaseCheck } from "./checks.ts";
import { isThisMachine } from "./encryption.ts";
import { failure, note, ok, warning } from "./findings.ts";

/** The major versions that Lotline is tested with, and Deno's version. */
const POSTGRES = [15, 17];
const DENO = "2.9.";

export const versions: DatabaseCheck = {
  name: "versions",
  needs: "nothing",
  async run({ sql }) {
    const rows = await timed(sql)<{ version: number; encoding: string }[]>`
      select current_setting('server_version_num')::int as version,
        current_setting('server_encoding') as encoding`;
    return versionFindings({ ...oneRow(rows), deno: Deno.version.deno });
  },
};

export function versionFindings(
  { version, encoding, deno }: { version: number; encoding: string; deno: string },
): readonly Finding[] {
  const check = "versions";
  const major = Math.floor(version / 10_000);
  const old = problem("old_server");
  return [
    isTooOld(version)
      ? failure(check, old.sentence, old.todo)
      : POSTGRES.includes(major)
      ? ok(check, `PostgreSQL ${major}, Deno ${deno}`)
      : note(check, `Lotline isn't tested with PostgreSQL ${major}`, "use PostgreSQL 15 or 17"),
    ...(encoding === "UTF8" ? [] : [
      failure(check, `The database's encoding is ${encoding}`, "make a database with UTF8"),
    ]),
    ...(deno.startsWith(DENO) ? [] : [
      note(check, `Lotline isn't tested with Deno ${deno}`, `use Deno ${DENO}6`),
    ]),
  ];
}

export const connections: DatabaseCheck = {
  name: "connections",
  needs: "nothing",
  async run({ sql }) {
    const [rows, running] = await Promise.all([
      timed(sql)<{ used: number; max: number; reserved: number }[]>`
        select (select sum(numbackends) from pg_stat_database)::int as used,
          current_setting('max_connections')::int as max,
          current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true), '0')::int as reserved`,
      // A standby, or a database without migrations, has no list.
      listRunningProcesses(sql).catch(() => []),
    ]);
    const pools = running.filter(({ isPooled }) => !isPooled)
      .reduce((sum, { connections }) => sum + (connections ?? 0), 0);
    return connectionFindings({ ...oneRow(rows), pools });
  },
};

/** Of the connections, as a part of 1. */
const MANY = 0.9;

/** @param pools the most connections of the running processes, without those before a pooler */
export function connectionFindings(
  { used, max, reserved, pools }: Readonly<Record<"used" | "max" | "reserved" | "pools", number>>,
): readonly Finding[] {
  const check = "connections";
  const available = max - reserved;
  const limit = `${available} connections (max_connections ${max}, ${reserved} reserved)`;
  const { todo } = problem("too_many");
  const inUse = `${used} of PostgreSQL's ${limit} are in use`;
  const allowed = `The pools of the running processes have ${pools} connections together`;
  return [
    used < available * MANY ? ok(check, inUse) : warning(check, inUse, todo),
    pools <= available
      ? ok(check, allowed)
      : warning(check, `${allowed}, and PostgreSQL has ${limit}`, todo),
  ];
}

export const disk: DatabaseCheck = {
  name: "disk",
  needs: "nothing",
  async run({ sql, address }) {
    const rows = await timed(sql)<{ bytes: number; folder: string | null }[]>`
      select pg_database_size(current_database())::float8 as bytes,
        (select setting from pg_settings where name = 'data_directory') as folder`;
    const { bytes, folder } = oneRow(rows);
    const space = folder !== null && address.hosts.every(isThisMachine)
      ? await statfs(folder).catch(() => undefined)
      : undefined;
    return [diskFinding(
      bytes,
      space && { free: space.bavail * space.bsize, total: space.blocks * space.bsize },
    )];
  },
};

/** Free space as a part of the disk, and in bytes: both have to be less. */
const LITTLE = { part: 0.1, bytes: 20e9 };
const TOO_LITTLE = { part: 0.02, bytes: 2e9 };

/** @param space of PostgreSQL's disk; undefined: it can't be seen from here */
export function diskFinding(
  databaseBytes: number,
  space?: { readonly free: number; readonly total: number },
): Finding {
  const size = `The database takes ${sized(databaseBytes)}`;
  if (space === undefined) {
    return ok("disk", `${size}; its disk can't be seen from this machine`);
  }
  const { free, total } = space;
  const message = `${size}, and ${sized(free)} of its disk's ${sized(total)} are free`;
  const isBelow = ({ part, bytes }: typeof LITTLE) => free < total * part && free < bytes;
  const todo = "free disk space, or lower TRACE_STORAGE_MAX_MB";
  if (isBelow(TOO_LITTLE)) return failure("disk", message, todo);
  return isBelow(LITTLE) ? warning("disk", message, todo) : ok("disk", message);
}

const sized = (bytes: number) =>
  bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
