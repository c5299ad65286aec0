import postgres from "postgres";
import type { Address, Host } from "./address.ts";
import { LinkError } from "./link_error.ts";
import { oneRow } from "./one_row.ts";
import { type Problem, problem, problemOf } from "./problems.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import { pooledParameters, type SessionOptions, settingsOf } from "./session_settings.ts";
import type { Sql } from "./sql.ts";
import { Opener } from "./startup.ts";

/** What one host of an address is, or why it can't be used. */
export interface HostState {
  /** Such as `db1.example:5432`. */
  readonly name: string;
  readonly is: ServerState | Problem;
  /** When its server was started: two names of one server have the same. */
  readonly startedAt?: string;
}

type ServerState = "primary" | "read-only" | "standby";

const SESSION: SessionOptions = { name: "lotline-doctor" };

/** Looks at each host of an address by itself, whatever its `target_session_attrs` is. */
export function readHostStates(
  address: Address,
  timeoutMs: number,
): Promise<readonly HostState[]> {
  return Promise.all(address.hosts.map(async (host) => ({
    name: nameOf(host),
    ...await readState({ ...address, hosts: [host], target: "any" }, timeoutMs).catch((error) => ({
      is: problemOf(error) ?? problem("refused"),
    })),
  })));
}

const nameOf = ({ name, port, socket }: Host) => socket ?? `${name}:${port}`;

async function readState(address: Address, timeoutMs: number): Promise<Omit<HostState, "name">> {
  const opener = new Opener(address, {
    timeoutMs,
    isReadOnly: false,
    onReady: () => {},
    lost: () => new LinkError("unreachable", "the connection is lost"),
  });
  const sql: Sql = postgres({
    ...settingsOf(address, pooledParameters(address, SESSION), opener.open),
    max: 1,
    max_lifetime: null,
  });
  try {
    const query = sql.unsafe<{ is: ServerState; startedAt: string }[]>(`
      select pg_postmaster_start_time()::text as "startedAt", case when pg_is_in_recovery() then 'standby'
          when current_setting('transaction_read_only') = 'on' then 'read-only'
          else 'primary' end as is`);
    return oneRow(await queryWithDeadline(sql, query, timeoutMs * 2));
  } finally {
    await sql.end({ timeout: 0 });
    opener.close();
  }
}
