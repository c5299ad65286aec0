import type { Valkey } from "../cache/valkey.ts";
import type { Sql } from "../db/sql.ts";
import {
  clearLostPushes,
  clearPushes,
  type DueJob,
  type JobList,
  takeUnpushedJobs,
} from "../db/job_pushes.ts";

/*
 * Lists in Valkey that carry the ids of due jobs, one for each kind and priority, so that a worker
 * that may not start more of one kind leaves those where they are. PostgreSQL has the truth: an id
 * that is lost is put there again, and one whose job is someone else's by now is passed over.
 */

/** The lists of these kinds. Nothing here throws because of Valkey. */
export interface JobQueue {
  /**
   * Takes the id of a job of one of these kinds, the urgent ones first. `away`: there are no lists
   * to be had now; whoever wants a job asks PostgreSQL.
   */
  pop(kinds: readonly string[]): Promise<string | undefined | "away">;
  /** Puts on the lists what is due, and gives how many that were. Throws when PostgreSQL is away. */
  sweep(): Promise<number>;
}

// One hash tag, so that they are in one place on a cluster.
const PREFIX = "{lotline:jobs}";
/** Is lost with the lists, when someone empties Valkey or it starts anew: it has no end of its own. */
const EPOCH = `${PREFIX}:epoch`;
/** The most ids on a list; the rest waits in PostgreSQL. */
const MAX_LIST_LENGTH = 1_000;
/** The most ids that one sweep puts on a list. */
const MAX_PUSHED = 200;
/** How often it is looked whether ids were lost, in ms. */
const RESCUE_EVERY_MS = 2_000;

// An id that is on its list already stays there once.
const PUSH = `
  for i = 1, #ARGV, 2 do
    local list = KEYS[tonumber(ARGV[i])]
    if not redis.call('LPOS', list, ARGV[i + 1]) then redis.call('RPUSH', list, ARGV[i + 1]) end
  end
  return #ARGV / 2`;

const keyOf = ({ kind, priority }: JobList) => `${PREFIX}:ready:${priority}:${kind}`;

/** The lists of these kinds; without Valkey there are none. */
export function createJobQueue(
  { sql, valkey, kinds }: {
    readonly sql: Sql;
    readonly valkey: Valkey | undefined;
    readonly kinds: readonly string[];
  },
): JobQueue {
  const lists: JobList[] = ([0, 1] as const).flatMap((priority) =>
    kinds.map((kind) => ({ kind, priority }))
  );
  let turn = 0;
  let rescuedAt = -Infinity;
  // A Valkey that is full gives ids and takes none: its empty lists mean nothing.
  let takesNone = false;

  const push = async (due: readonly DueJob[]): Promise<boolean> => {
    const keys = [...new Set(due.map(keyOf))];
    const parameters = due.flatMap((job) => [String(keys.indexOf(keyOf(job)) + 1), job.id]);
    const pushed = await valkey?.tryCommand((client) =>
      client.eval(PUSH, { keys, arguments: parameters })
    );
    return pushed !== undefined;
  };

  return {
    async pop(requested) {
      if (valkey === undefined || takesNone) return "away";
      // Not always the same kind first, or a busy one would leave nothing to those behind it.
      turn++;
      const inTurn = requested.map((_, at) => requested[(at + turn) % requested.length] ?? "");
      const keys = ([0, 1] as const).flatMap((priority) =>
        inTurn.map((kind) => keyOf({ kind, priority }))
      );
      const response = await valkey.tryCommand(async (client) => ({
        popped: await client.lmPop(keys, "LEFT", { COUNT: 1 }),
      }));
      return response === undefined ? "away" : response.popped?.[1]?.[0];
    },
    async sweep() {
      const seen = await valkey?.tryCommand(async (client) => {
        const [epoch, ...lengths] = await Promise.all([
          client.exists(EPOCH),
          ...lists.map((list) => client.lLen(keyOf(list))),
        ]);
        return { isNew: epoch === 0, lengths };
      });
      if (seen === undefined) return 0;
      const filled = lists.map((list, at) => ({ ...list, length: seen.lengths[at] ?? 0 }));
      if (seen.isNew) {
        await clearPushes(sql);
      } else if (performance.now() - rescuedAt > RESCUE_EVERY_MS) {
        rescuedAt = performance.now();
        await clearLostPushes(sql, filled);
      }
      const due = await takeUnpushedJobs(
        sql,
        filled.map(({ length, ...list }) => ({
          ...list,
          room: Math.max(0, Math.min(MAX_LIST_LENGTH - length, MAX_PUSHED)),
        })),
      );
      if (due.length > 0) {
        takesNone = !await push(due);
        if (takesNone) {
          await clearPushes(sql, due.map(({ id }) => id));
          return 0;
        }
      }
      // Last, so that a process that ends in between leaves this to the next.
      if (seen.isNew) await valkey?.tryCommand((client) => client.set(EPOCH, "1"));
      return due.length;
    },
  };
}
