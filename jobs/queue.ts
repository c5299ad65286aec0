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
 * Lists in Valkey with the ids of due jobs, one for each kind and priority, so that a worker can leave
 * a kind of which it may start no more. PostgreSQL is the truth: a lost id is pushed again, and an id
 * whose job belongs to another worker by now is skipped.
 */

// One hash tag, so that all keys are on one node of a cluster.
const PREFIX = "{lotline:jobs}";
/** Never expires: it is lost together with the lists, when Valkey is emptied or restarts. */
const EPOCH = `${PREFIX}:epoch`;
/** The most ids on a list; the others wait in PostgreSQL. */
const MAX_LIST_LENGTH = 1_000;
/** The most ids that one sweep pushes to a list. */
const MAX_PUSHED = 200;
/** How often lost ids are searched, in ms. */
const RESCUE_EVERY_MS = 2_000;

// An id is on its list at most once.
const PUSH = `
  for i = 1, #ARGV, 2 do
    local list = KEYS[tonumber(ARGV[i])]
    if not redis.call('LPOS', list, ARGV[i + 1]) then redis.call('RPUSH', list, ARGV[i + 1]) end
  end
  return #ARGV / 2`;

const keyOf = ({ kind, priority }: JobList) => `${PREFIX}:ready:${priority}:${kind}`;

/** The lists of these kinds, those of urgent jobs first. */
const listsOf = (kinds: readonly string[]): JobList[] =>
  ([0, 1] as const).flatMap((priority) => kinds.map((kind) => ({ kind, priority })));

/** The lists of these kinds. Nothing here throws because of Valkey. */
export function createJobQueue(sql: Sql, valkey: Valkey | undefined, kinds: readonly string[]) {
  const lists = listsOf(kinds);
  let turn = 0;
  let rescuedAt = -Infinity;
  // A full Valkey returns ids and stores none: its empty lists mean nothing.
  let isFull = false;

  const push = async (due: readonly DueJob[]): Promise<boolean> => {
    const keys = [...new Set(due.map(keyOf))];
    const parameters = due.flatMap((job) => [String(keys.indexOf(keyOf(job)) + 1), job.id]);
    const pushed = await valkey?.tryCommand((client) =>
      client.eval(PUSH, { keys, arguments: parameters })
    );
    return pushed !== undefined;
  };

  return {
    /**
     * Takes the id of a job of one of these kinds, urgent ones first. `unavailable`: jobs must be
     * claimed without the lists.
     */
    async pop(requested: readonly string[]): Promise<string | undefined | "unavailable"> {
      if (valkey === undefined || isFull) return "unavailable";
      // Another kind first each time, or a busy one would starve the others.
      turn++;
      const inTurn = requested.map((_, at) => requested[(at + turn) % requested.length] ?? "");
      const keys = listsOf(inTurn).map(keyOf);
      const response = await valkey.tryCommand(async (client) => ({
        popped: await client.lmPop(keys, "LEFT", { COUNT: 1 }),
      }));
      return response === undefined ? "unavailable" : response.popped?.[1]?.[0];
    },
    /** Pushes due jobs and returns how many. Throws when PostgreSQL is unavailable. */
    async sweep(): Promise<number> {
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
        isFull = !await push(due);
        if (isFull) {
          await clearPushes(sql, due.map(({ id }) => id));
          return 0;
        }
      }
      // Last: if this process ends before it, the next one starts again.
      if (seen.isNew) await valkey?.tryCommand((client) => client.set(EPOCH, "1"));
      return due.length;
    },
  };
}
