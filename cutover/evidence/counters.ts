import { ClientSet } from "../routes/canary.ts";
import type { Covered } from "./coverage.ts";
import type { Evidence, Finding } from "./evidence.ts";
import { bucketOf } from "./histogram.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Route, Upstream } from "../exchange/route.ts";

/** What is counted of one operation in one epoch, within a minute. */
interface MinuteCount {
  readonly operation: Operation;
  readonly epoch: number;
  /** When it began, in ms of `performance.now()`. */
  readonly at: number;
}

export interface ResponseCount extends MinuteCount {
  readonly side: Upstream;
  requests: number;
  serverErrors: number;
  silences: number;
  readonly latencies: Record<string, number>;
}

/** The clients whose requests an upstream served. */
export interface ClientCount extends MinuteCount {
  readonly side: Upstream;
  requests: number;
  readonly clients: ClientSet;
}

/** Comparisons with one outcome. */
export interface OutcomeCount extends MinuteCount {
  readonly outcome: Finding["outcome"];
  /** Empty: comparisons; else how often the approval with this id was needed. */
  readonly approval: string;
  count: number;
}

/** Exchanges of which the same is known. */
export interface CoverageCount extends MinuteCount {
  readonly what: Covered;
  count: number;
}

/** Requests that match no operation, on one day or less. */
export interface UnknownCount {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  count: number;
}

/** The counts of one process that are not stored yet. */
export type Counters = ReturnType<typeof createCounters>;

/** Counts that one statement stores. */
export const MAX_TAKEN = 200;
/**
 * With more waiting counts, after some hours without PostgreSQL, all go to the last minute: nothing
 * is left out, and the memory has a bound.
 */
const MAX_WAITING = 4_000;
/** Kinds of unknown requests; further ones count as {@link OTHERS}. */
const MAX_UNKNOWN = 50;
/** The method and the path of unknown requests beyond the bounds. */
export const OTHERS = { method: "*", path: "(others)" };
const MINUTE_MS = 60_000;

export function createCounters(now: () => number = () => performance.now()) {
  const responses = new Map<string, ResponseCount>();
  const clients = new Map<string, ClientCount>();
  const outcomes = new Map<string, OutcomeCount>();
  const coverage = new Map<string, CoverageCount>();
  const unknown = new Map<string, UnknownCount>();
  const size = () => responses.size + clients.size + outcomes.size + coverage.size + unknown.size;
  let lastMinute = 0;
  const minute = () => {
    if (size() < MAX_WAITING) lastMinute = Math.floor(now() / MINUTE_MS);
    return lastMinute;
  };
  const countOutcome = (finding: Finding, approval: string) => {
    const { operation, outcome, route: { epoch } } = finding;
    const key = `${minute()} ${operation} ${epoch} ${outcome} ${approval}`;
    outcomes.getOrInsertComputed(
      key,
      () => ({ operation, epoch, outcome, approval, at: now(), count: 0 }),
    ).count++;
  };
  const countCovered = (
    operation: Operation,
    { epoch }: Pick<Route, "epoch">,
    what: Covered,
    by = 1,
  ) => {
    const key = `${minute()} ${operation} ${epoch} ${what}`;
    coverage.getOrInsertComputed(key, () => ({ operation, epoch, what, at: now(), count: 0 }))
      .count += by;
  };
  const evidence: Omit<Evidence, "unknown"> = {
    covered: (operation, route, what) => countCovered(operation, route, what),
    responded(operation, { epoch }, side, status, ms) {
      const key = `${minute()} ${operation} ${epoch} ${side}`;
      const count = responses.getOrInsertComputed(key, () => {
        const nothing = { requests: 0, serverErrors: 0, silences: 0, latencies: {} };
        return { operation, side, epoch, at: now(), ...nothing };
      });
      count.requests++;
      if (status === 0) {
        // Without a response, the time is the timeout of the one that waited.
        count.silences++;
        return;
      }
      if (status >= 500) count.serverErrors++;
      const bucket = bucketOf(ms);
      count.latencies[bucket] = (count.latencies[bucket] ?? 0) + 1;
    },
    served(operation, { epoch }, side, bucket) {
      const key = `${minute()} ${operation} ${epoch} ${side}`;
      const count = clients.getOrInsertComputed(
        key,
        () => ({ operation, side, epoch, at: now(), requests: 0, clients: new ClientSet() }),
      );
      count.requests++;
      count.clients.add(bucket);
    },
    found(finding) {
      countOutcome(finding, "");
      if (finding.cause !== undefined) {
        countCovered(finding.operation, finding.route, finding.cause);
      }
      for (const approval of new Set(finding.approvals)) countOutcome(finding, approval);
    },
  };
  return {
    ...evidence,
    /** Counts a request that matches no operation; personal data has been replaced. */
    unknown(request: { readonly method: string; readonly path: string }) {
      const keyOf = ({ method, path }: typeof request) => `${minute()} ${method} ${path}`;
      const isKnown = unknown.size < MAX_UNKNOWN || unknown.has(keyOf(request));
      const kind = isKnown ? request : OTHERS;
      unknown.getOrInsertComputed(keyOf(kind), () => ({ ...kind, at: now(), count: 0 })).count++;
    },
    /** Takes back a count that could not be stored with others. */
    putBack: ({ operation, epoch, what, count }: CoverageCount) =>
      countCovered(operation, { epoch }, what, count),
    /** Removes and returns the oldest counts, at most {@link MAX_TAKEN} of each kind. */
    take: () => ({
      responses: takeFrom(responses),
      clients: takeFrom(clients),
      outcomes: takeFrom(outcomes),
      coverage: takeFrom(coverage),
      unknown: takeFrom(unknown),
    }),
    get size() {
      return size();
    },
  };
}

function takeFrom<Count>(counts: Map<string, Count>): Count[] {
  const taken = [...counts.entries().take(MAX_TAKEN)];
  for (const [key] of taken) counts.delete(key);
  return taken.map(([, count]) => count);
}
