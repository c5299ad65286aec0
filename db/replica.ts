import { describeError, limitRepeats, type Log } from "../log.ts";
import { delay } from "../timing.ts";
import { connect } from "./connect.ts";
import type { ProblemKind } from "./link_error.ts";
import { readSteps, type Series, type Step } from "./migrations.ts";
import { problemOf } from "./problems.ts";
import { createLagMeter, type Lag, readReplicationState } from "./replica_state.ts";
import { readSchemaState } from "./schema_state.ts";
import type { Sql } from "./sql.ts";

/**
 * Why the replica isn't read. `unknown`: not looked at yet, or an error without a name. `not_standby`:
 * it accepts writes, so it is a primary, or was promoted. `other_server`: it belongs to another
 * cluster or is another database. `behind`: see {@link MAX_LAG_MS}. `read_failed`: a read has just
 * failed there.
 */
export type ReplicaProblem =
  | ProblemKind
  | "unknown"
  | "not_standby"
  | "other_server"
  | "behind"
  | "read_failed";

/** A streaming replica that is watched. Disposing ends the watch. */
export interface Replica extends Disposable {
  readonly url: string;
  /** Why it isn't read now; undefined: it is. */
  readonly problem: ReplicaProblem | undefined;
  /** As it was last measured; undefined: not yet, or it doesn't respond. */
  readonly lag: Lag | undefined;
  /**
   * Notes that a read has failed there and is done on the primary. The replica isn't read for
   * {@link REST_MS}, so that not every request waits for a replica that can't serve it.
   *
   * @param read what was read, such as `deep_trace`
   */
  failed(read: string, error: unknown): void;
  /** Calls `leave` when the replica has been away for {@link AWAY_MS}, until disposed. */
  onAway(leave: () => void): Disposable;
}

interface WatchOptions {
  readonly url: string;
  /** Of the primary. */
  readonly sql: Sql;
  /** The steps that the replica has to have. */
  readonly series: Series;
  readonly log: Log;
}

/** The time between two looks, in ms. */
const EVERY_MS = 1_000;
/** How long a look may wait for a server, in ms. */
const LOOK_MS = 2_000;
/**
 * A replica that is further behind isn't read: a job would wait that long before it is sure to read
 * what was there when it began.
 */
export const MAX_LAG_MS = 10_000;
/** How long a replica isn't read after a failed read, in ms. */
const REST_MS = 1_000;
/** A job that reads a replica which is away for so long leaves it, in ms. */
const AWAY_MS = 5_000;
/** A schema without problems is read again after this long, in ms. */
const SCHEMA_EVERY_MS = 30_000;

/** Looks at the replica until disposed; says in the log when it can't be read, and when it can again. */
export function watchReplica({ url, sql, series, log }: WatchOptions): Replica {
  const end = new AbortController();
  const logLimited = limitRepeats(log);
  const replicaSql = connect({ url, max: 1, name: "lotline-replica" });
  const measure = createLagMeter();
  const listeners = new Set<() => void>();
  let problem: ReplicaProblem | undefined = "unknown";
  let lag: Lag | undefined;
  let down: { readonly since: number; isLogged: boolean } | undefined;
  let answeredAt = performance.now();
  let restsUntil = -Infinity;
  let schemaReadAt = -Infinity;
  let steps: readonly Step[] | undefined;

  const set = (now: ReplicaProblem | undefined, error?: unknown) => {
    problem = now;
    if (now === undefined) {
      if (down?.isLogged) {
        log("info", "replica_up", { after_ms: Math.round(performance.now() - down.since) });
      }
      down = undefined;
      return;
    }
    down ??= { since: performance.now(), isLogged: false };
    const fields = {
      problem: now,
      lag_ms: lag?.ms,
      error: error === undefined ? undefined : describeError(error),
    };
    down.isLogged = logLimited(now, "warn", "replica_down", fields) || down.isLogged;
  };
  const findSchemaProblem = async (): Promise<"schema_missing" | "schema_old" | undefined> => {
    if (performance.now() - schemaReadAt < SCHEMA_EVERY_MS) return undefined;
    steps ??= await readSteps([series]);
    const { is } = await readSchemaState(replicaSql, steps);
    if (is === "missing") return "schema_missing";
    if (is === "behind") return "schema_old";
    schemaReadAt = performance.now();
    return undefined;
  };
  const look = async (): Promise<void> => {
    // In this order: a replica without a lag is then never behind.
    const primary = await readReplicationState(sql, LOOK_MS).catch(() => undefined);
    const primaryAt = performance.now();
    const replica = await readReplicationState(replicaSql, LOOK_MS);
    answeredAt = performance.now();
    if (!replica.isStandby) return set("not_standby");
    if (primary !== undefined && !primary.isStandby) {
      if (primary.identity !== replica.identity) return set("other_server");
      lag = measure(
        { position: primary.position, at: primaryAt },
        { position: replica.position, at: answeredAt },
      );
    }
    if (lag !== undefined && lag.ms > MAX_LAG_MS) return set("behind");
    set(await findSchemaProblem());
  };
  const follow = async () => {
    while (!end.signal.aborted) {
      try {
        await look();
      } catch (error) {
        lag = undefined;
        schemaReadAt = -Infinity;
        if (!end.signal.aborted) set(problemOf(error)?.kind ?? "unknown", error);
        if (performance.now() - answeredAt > AWAY_MS) {
          for (const leave of [...listeners]) leave();
        }
      }
      await delay(EVERY_MS, end.signal);
    }
    await replicaSql.end({ timeout: 0 });
  };
  void follow();

  return {
    url,
    get problem() {
      return problem ?? (performance.now() < restsUntil ? "read_failed" : undefined);
    },
    get lag() {
      return lag;
    },
    failed(read, error) {
      restsUntil = performance.now() + REST_MS;
      const name = error instanceof Error ? error.name : "";
      logLimited(`${read} ${name}`, "warn", "replica_read_failed", {
        read,
        lag_ms: lag?.ms,
        error: describeError(error),
      });
    },
    onAway(leave) {
      listeners.add(leave);
      return { [Symbol.dispose]: () => void listeners.delete(leave) };
    },
    [Symbol.dispose]: () => end.abort(),
  };
}
