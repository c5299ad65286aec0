import { setTimeout as delay } from "node:timers/promises";
import { findMark, type ReplicaMark } from "../db/replica_marks.ts";
import type { Session } from "../db/session.ts";
import { inSnapshot, type Snapshot, type SnapshotOptions } from "./snapshot.ts";

/** Thrown when a replica doesn't show a mark in time. */
export class ReplicaBehindError extends Error {
  override name = "ReplicaBehindError";
}

interface ReplicaOptions extends SnapshotOptions {
  /** How long the replica may take to show the mark, in ms. */
  readonly waitMs: number;
}

/** The first and the longest pause between two looks for the mark, in ms. */
const PAUSE_MS = 2;
const MAX_PAUSE_MS = 100;

/**
 * Does some work on a replica in one transaction that shows all that the primary had committed at a
 * mark, and possibly more. The snapshot has the mark's moment and transactions: so what is stored of it
 * counts as out of date by the same rules as what was read on the primary.
 *
 * The mark is looked for in the transaction itself: behind a balancer each may have another replica.
 *
 * @throws {ReplicaBehindError} it doesn't show the mark in time
 */
export async function inReplicaSnapshot<T>(
  session: Session,
  mark: ReplicaMark,
  { waitMs, ...options }: ReplicaOptions,
  work: (snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const until = performance.now() + waitMs;
  for (let pauseMs = PAUSE_MS;; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    const done = await inSnapshot(session, options, async ({ sql }) => {
      const found = await findMark(sql, mark);
      return found && { result: await work({ sql, ...found }) };
    });
    if (done !== undefined) return done.result;
    if (performance.now() + pauseMs > until) {
      throw new ReplicaBehindError(`the replica lacks what was committed ${waitMs} ms ago`);
    }
    await delay(pauseMs, undefined, { signal: options.signal });
  }
}
