import { ClientSet } from "../routes/client_set.ts";
import type { Covered } from "./coverage.ts";
import type { Finding } from "./evidence.ts";
import { bucketOf } from "./histogram.ts";
import type { Operation } from "../exchange/operations.ts";
import type { Route, Upstream } from "../exchange/route.ts";

/** What a side answered to one operation in one epoch, within a minute. */
export interface ResponseCount {
  readonly operation: Operation;
  readonly side: Upstream;
  readonly epoch: number;
  /** When it began, in ms of `performance.now()`. */
  readonly at: number;
  requests: number;
  serverErrors: number;
  silences: number;
  /** By bucket. */
  readonly latencies: Record<string, number>;
}

/** Which clients a side answered in one epoch of an operation, within a minute. */
export interface ClientCount {
  readonly operation: Operation;
  readonly side: Upstream;
  readonly epoch: number;
  readonly at: number;
  requests: number;
  readonly clients: ClientSet;
}

/** What became of comparisons of one operation in one epoch, within a minute. */
export interface OutcomeCount {
  readonly operation: Operation;
  readonly epoch: number;
  readonly outcome: Finding["outcome"];
  /** Empty: comparisons; else how often the approval with this id was needed. */
  readonly approval: string;
  readonly at: number;
  count: number;
}

/** How often something was known of exchanges of one operation in one epoch, within a minute. */
export interface CoverageCount {
  readonly operation: Operation;
  readonly epoch: number;
  readonly what: Covered;
  readonly at: number;
  count: number;
}

/** The counts of one process that are not stored yet. */
export interface Counters {
  answered(
    operation: Operation,
    route: Route,
    upstream: Upstream,
    status: number,
    ms: number,
  ): void;
  served(operation: Operation, route: Route, upstream: Upstream, bucket: number): void;
  found(finding: Pick<Finding, "operation" | "route" | "outcome" | "cause" | "approvals">): void;
  covered(operation: Operation, route: Route, what: Covered): void;
  /** Takes back a count that could not be stored with others. */
  putBack(count: CoverageCount): void;
  /** Takes the oldest counts out of the tally, {@link MAX_TAKEN} at most of each kind. */
  take(): {
    readonly responses: readonly ResponseCount[];
    readonly clients: readonly ClientCount[];
    readonly outcomes: readonly OutcomeCount[];
    readonly coverage: readonly CoverageCount[];
  };
  /** How many counts there are. */
  readonly size: number;
}

/** Counts that one statement stores. */
export const MAX_TAKEN = 200;
/**
 * With so many counts waiting, some hours without PostgreSQL, minutes aren't told apart any more:
 * nothing is left out, and the memory stays as it is.
 */
const MANY = 4_000;
const MINUTE_MS = 60_000;

/** A tally of nothing. */
export function createCounters(now: () => number = () => performance.now()): Counters {
  const responses = new Map<string, ResponseCount>();
  const clients = new Map<string, ClientCount>();
  const outcomes = new Map<string, OutcomeCount>();
  const coverage = new Map<string, CoverageCount>();
  const size = () => responses.size + clients.size + outcomes.size + coverage.size;
  let lastMinute = 0;
  const minute = () => {
    if (size() < MANY) lastMinute = Math.floor(now() / MINUTE_MS);
    return lastMinute;
  };
  const countOutcome = (
    finding: Pick<Finding, "operation" | "route" | "outcome">,
    approval: string,
  ) => {
    const { operation, outcome, route: { epoch } } = finding;
    const key = `${minute()} ${operation} ${epoch} ${outcome} ${approval}`;
    let count = outcomes.get(key);
    if (count === undefined) {
      outcomes.set(key, count = { operation, epoch, outcome, approval, at: now(), count: 0 });
    }
    count.count++;
  };
  const covered = (
    operation: Operation,
    { epoch }: Pick<Route, "epoch">,
    what: Covered,
    by = 1,
  ) => {
    const key = `${minute()} ${operation} ${epoch} ${what}`;
    let count = coverage.get(key);
    if (count === undefined) {
      coverage.set(key, count = { operation, epoch, what, at: now(), count: 0 });
    }
    count.count += by;
  };
  return {
    covered: (operation, route, what) => covered(operation, route, what),
    putBack: ({ operation, epoch, what, count }) => covered(operation, { epoch }, what, count),
    answered(operation, { epoch }, upstream, status, ms) {
      const key = `${minute()} ${operation} ${epoch} ${upstream}`;
      let count = responses.get(key);
      if (count === undefined) {
        const nothing = { requests: 0, serverErrors: 0, silences: 0, latencies: {} };
        responses.set(key, count = { operation, side: upstream, epoch, at: now(), ...nothing });
      }
      count.requests++;
      if (status === 0) {
        // How long nothing came says more about whoever waited.
        count.silences++;
        return;
      }
      if (status >= 500) count.serverErrors++;
      const bucket = bucketOf(ms);
      count.latencies[bucket] = (count.latencies[bucket] ?? 0) + 1;
    },
    served(operation, { epoch }, upstream, bucket) {
      const key = `${minute()} ${operation} ${epoch} ${upstream}`;
      let count = clients.get(key);
      if (count === undefined) {
        count = {
          operation,
          side: upstream,
          epoch,
          at: now(),
          requests: 0,
          clients: new ClientSet(),
        };
        clients.set(key, count);
      }
      count.requests++;
      count.clients.add(bucket);
    },
    found(finding) {
      countOutcome(finding, "");
      if (finding.cause !== undefined) covered(finding.operation, finding.route, finding.cause);
      for (const approval of new Set(finding.approvals)) countOutcome(finding, approval);
    },
    take: () => ({
      responses: takeFrom(responses),
      clients: takeFrom(clients),
      outcomes: takeFrom(outcomes),
      coverage: takeFrom(coverage),
    }),
    get size() {
      return size();
    },
  };
}

function takeFrom<Count>(counts: Map<string, Count>): Count[] {
  const taken: Count[] = [];
  for (const [key, count] of counts) {
    if (taken.length === MAX_TAKEN) break;
    counts.delete(key);
    taken.push(count);
  }
  return taken;
}
