import { identityOf } from "./identity.ts";
import { oneRow } from "./one_row.ts";
import { queryWithDeadline } from "./query_deadline.ts";
import type { Sql } from "./sql.ts";

/** What a server says of itself as a part of a primary and its replicas. */
export interface ReplicationState {
  readonly isStandby: boolean;
  /** Of the cluster and the database in it; a replica has its primary's. */
  readonly identity: string;
  /** The end of what it has written to its disk, as a primary, or shows, as a standby: bytes of WAL. */
  readonly position: bigint;
}

export async function readReplicationState(
  sql: Sql,
  timeoutMs: number,
): Promise<ReplicationState> {
  const query = sql<(Omit<ReplicationState, "position"> & { readonly position: string })[]>`
    select pg_is_in_recovery() as "isStandby",
      ${identityOf(sql)} as identity,
      (case when pg_is_in_recovery() then coalesce(pg_last_wal_replay_lsn(), '0/0')
        else pg_current_wal_flush_lsn() end - '0/0')::text as position`;
  const { position, ...state } = oneRow(await queryWithDeadline(sql, query, timeoutMs));
  return { ...state, position: BigInt(position) };
}

export interface Lag {
  readonly bytes: number;
  readonly ms: number;
}

interface Sample {
  readonly position: bigint;
  /** When the primary had this position, in ms. */
  readonly at: number;
}

/** The most positions that are remembered: those of ten minutes. */
const MAX_SAMPLES = 600;

/**
 * Measures how far a replica is behind. The time since its last transaction would grow while the
 * primary is idle, so positions count: the lag is the time since the primary was where the replica is.
 * Between two looks at the primary the position is taken to grow evenly.
 */
export function createLagMeter() {
  /** The last one that the replica has reached, if any, and those that it hasn't. */
  let samples: Sample[] = [];
  return (primary: Sample, replica: Sample): Lag => {
    samples = [...samples, primary];
    const next = samples.findIndex(({ position }) => position > replica.position);
    if (next === -1) {
      samples = [primary];
      return { bytes: 0, ms: 0 };
    }
    samples = samples.slice(Math.max(0, next - 1));
    // The oldest ones stay: the lag is counted from them.
    if (samples.length > MAX_SAMPLES) samples.splice(-2, 1);
    return {
      bytes: Number(primary.position - replica.position),
      ms: Math.max(0, Math.round(replica.at - momentOf(replica.position, samples))),
    };
  };
}

/** When the primary had a position; the time of the first sample for one from before it. */
function momentOf(position: bigint, [reached, next]: readonly Sample[]): number {
  if (reached === undefined) return NaN;
  if (next === undefined || position < reached.position) return reached.at;
  const part = Number(position - reached.position) / Number(next.position - reached.position);
  return reached.at + part * (next.at - reached.at);
}
