/** What requests need the database for; each has a queue of its own in the pool. */
export const LANES = ["traces", "logins", "writes", "work"] as const;

/** `work`: deep traces, audits and the rest. */
export type Lane = typeof LANES[number];

/** While a statement of a lane has waited for longer, in ms, further ones of the lane are refused. */
export const MAX_QUEUE_WAIT_MS = 1_000;

/** Thrown for a statement that is refused because its lane's queue is too slow; it never runs. */
export class PoolBusyError extends Error {
  override name = "PoolBusyError";
  readonly code = "POOL_BUSY";

  constructor(readonly lane: Lane) {
    super(`statements of ${lane} wait for over ${MAX_QUEUE_WAIT_MS} ms`);
  }
}

interface LaneQueue<Query> {
  readonly lane: Lane;
  readonly waiting: Query[];
  running: number;
}

/**
 * The statements of a pool that wait for a connection. Traces never get the last fifth of the
 * connections, and all other lanes together never get it either: so neither can take them all from
 * the other. Statements without a lane, such as those of readiness, may have any, and go first.
 */
export class LaneQueues<Query extends { lane?: Lane }> {
  readonly #urgent: Query[] = [];
  readonly #queues: readonly LaneQueue<Query>[] = LANES.map((lane) => ({
    lane,
    waiting: [],
    running: 0,
  }));
  /** The most connections of traces, and of the others. */
  readonly #share: number;
  #waiting = 0;
  #others = 0;

  constructor(max: number) {
    this.#share = max < 3 ? max : max - Math.ceil(max / 5);
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting;
  }

  /** The one of this lane that has waited longest. */
  first(lane: Lane): Query | undefined {
    return this.#of(lane).waiting[0];
  }

  add(query: Query): void {
    this.#waiting++;
    (query.lane === undefined ? this.#urgent : this.#of(query.lane).waiting).push(query);
  }

  remove(query: Query): void {
    const waiting = query.lane === undefined ? this.#urgent : this.#of(query.lane).waiting;
    const index = waiting.indexOf(query);
    if (index === -1) return;
    waiting.splice(index, 1);
    this.#waiting--;
  }

  /** Takes the next one that may have a connection: of the lane that has the fewest. */
  take(): Query | undefined {
    if (this.#waiting === 0) return undefined;
    if (this.#urgent.length > 0) {
      this.#waiting--;
      return this.#urgent.shift();
    }
    let next: LaneQueue<Query> | undefined;
    for (const queue of this.#queues) {
      if (queue.waiting.length === 0 || !this.#hasShare(queue)) continue;
      if (next === undefined || queue.running < next.running) next = queue;
    }
    if (next === undefined) return undefined;
    this.#waiting--;
    next.running++;
    if (next.lane !== "traces") this.#others++;
    return next.waiting.shift();
  }

  /** Call it when one that was taken is over. */
  ended({ lane }: Query): void {
    if (lane === undefined) return;
    this.#of(lane).running--;
    if (lane !== "traces") this.#others--;
  }

  /** Removes all that wait. */
  clear(): Query[] {
    this.#waiting = 0;
    return [this.#urgent, ...this.#queues.map(({ waiting }) => waiting)]
      .flatMap((waiting) => waiting.splice(0));
  }

  #of(lane: Lane): LaneQueue<Query> {
    return this.#queues[LANES.indexOf(lane)] as LaneQueue<Query>;
  }

  #hasShare({ lane, running }: LaneQueue<Query>): boolean {
    return (lane === "traces" ? running : this.#others) < this.#share;
  }
}
