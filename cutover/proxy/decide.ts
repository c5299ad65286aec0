import type { ReadClient } from "../../client_address.ts";
import type { CanaryBy } from "../config.ts";
import { bucketBy, chooseUpstream } from "../routes/canary.ts";
import type { Observer } from "../shadow/observer.ts";
import type { Evidence } from "../evidence/evidence.ts";
import {
  isLegacyOperation,
  isSafeOperation,
  type LegacyOperation,
  type Operation,
} from "../exchange/operations.ts";
import { isCounted } from "../routes/moved_share.ts";
import { findOperation, isSafeMethod, isSafeRequest } from "../exchange/match_operation.ts";
import type { Peer, RequestHead } from "./request_head.ts";
import type { Route, Upstream } from "../exchange/route.ts";

/** A request for an operation of the contract. */
export interface RouteDecision {
  readonly operation: Operation;
  readonly route: Route;
}

/** A request for an operation that both sides know. */
export interface ComparableOperation extends RouteDecision {
  readonly operation: LegacyOperation;
}

/** How one request is dealt with. */
export interface Decision {
  /** Undefined: nothing of the contract; the old server says what it makes of it. */
  readonly decision: RouteDecision | undefined;
  /** Undefined: only one side could answer. */
  readonly comparable: ComparableOperation | undefined;
  readonly upstream: Upstream;
  /** The client's; undefined: which client it is matters to nobody. */
  readonly bucket: number | undefined;
  /**
   * `answer`: somebody wants to see the exchange; `dry_run`: before it, Lotline is asked what it would
   * do; undefined: nobody looks.
   */
  readonly compared: "answer" | "dry_run" | undefined;
  /** Whether it may be sent twice: by HTTP's rules, or since the old server's login writes nothing. */
  readonly isSafe: boolean;
  /** Whether it is carried out though its client has left: whatever may have an effect by HTTP's rules. */
  readonly outlivesClient: boolean;
}

/** What decides about a request. */
export interface DecideDeps {
  readonly routeOf: (operation: Operation) => Route;
  readonly readClient: ReadClient;
  readonly canaryBy: CanaryBy;
  readonly observer: Pick<Observer, "wants">;
}

/** Decides how a request is dealt with. */
export function decide(
  deps: DecideDeps,
  method: string,
  target: string,
  head: RequestHead,
  peer: Peer,
): Decision {
  const operation = findOperation(method, target);
  if (operation === undefined) {
    return {
      decision: undefined,
      comparable: undefined,
      upstream: "legacy",
      bucket: undefined,
      compared: undefined,
      isSafe: isSafeMethod(method),
      outlivesClient: !isSafeMethod(method),
    };
  }
  const route = deps.routeOf(operation);
  const comparable = isLegacyOperation(operation) ? { operation, route } : undefined;
  const bucket = isCounted(route.mode) ? bucketOfClient(deps, operation, head, peer) : undefined;
  const upstream = chooseUpstream(route.mode, bucket ?? 0);
  return {
    decision: { operation, route },
    comparable,
    upstream,
    bucket,
    compared: comparable && whatToCompare(deps, comparable, upstream),
    isSafe: isSafeRequest(method, operation),
    outlivesClient: !isSafeMethod(method),
  };
}

/**
 * The way of a request that Lotline was to answer and that is the old server's by now, since its route
 * went back after its head had come; undefined: there is no such change. Nobody compares it.
 */
export function decideFallback(
  deps: DecideDeps,
  decision: Decision,
  head: RequestHead,
  peer: Peer,
): Decision | undefined {
  if (decision.upstream !== "service" || decision.decision === undefined) return undefined;
  const { operation, route: before } = decision.decision;
  const route = deps.routeOf(operation);
  // A route that is killed has another mode and the same epoch.
  if (route.epoch === before.epoch && route.mode.name === before.mode.name) return undefined;
  const bucket = isCounted(route.mode)
    ? decision.bucket ?? bucketOfClient(deps, operation, head, peer)
    : undefined;
  if (chooseUpstream(route.mode, bucket ?? 0) === "service") return undefined;
  return {
    ...decision,
    bucket,
    decision: { operation, route },
    comparable: decision.comparable && { ...decision.comparable, route },
    upstream: "legacy",
    compared: undefined,
  };
}

/**
 * Counts a request that is over for the side that had it last, whichever it was to go to: what Lotline
 * was to answer and the old server did was not moved.
 */
export function countClient(
  evidence: Pick<Evidence, "served">,
  { decision, bucket }: Decision,
  { isProbe }: RequestHead,
  upstream: Upstream | undefined,
): void {
  if (decision === undefined || bucket === undefined || upstream === undefined || isProbe) return;
  evidence.served(decision.operation, decision.route, upstream, bucket);
}

function bucketOfClient(
  { readClient, canaryBy }: DecideDeps,
  operation: Operation,
  head: RequestHead,
  peer: Peer,
): number {
  const headers = {
    get: (name: string) => name === "x-forwarded-for" ? head.forwardedFor ?? null : null,
  };
  return bucketBy(canaryBy, {
    authorization: head.authorization,
    address: readClient({ headers }, peer.address).address,
    header: (name) => firstValue(head.lines, name),
    isSafe: isLegacyOperation(operation) && isSafeOperation(operation),
  });
}

/** A header's first value that isn't empty. */
function firstValue(lines: readonly string[], lowerName: string): string | undefined {
  for (let at = 0; at + 1 < lines.length; at += 2) {
    if (lines[at]?.toLowerCase() === lowerName && lines[at + 1] !== "") return lines[at + 1];
  }
  return undefined;
}

function whatToCompare(
  { observer }: DecideDeps,
  { operation, route }: ComparableOperation,
  upstream: Upstream,
): Decision["compared"] {
  const isSeen = isSafeOperation(operation) || route.mode.name === "legacy";
  // What Lotline has stored can't be asked of the old server, which knows no dry run.
  if (!isSeen && upstream === "service") return undefined;
  if (!observer.wants(operation, route)) return undefined;
  return isSeen ? "answer" : "dry_run";
}
