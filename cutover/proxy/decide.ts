import type { ReadClient } from "../../client_address.ts";
import type { CanaryBy } from "../config.ts";
import { bucketBy, chooseSide } from "../routes/canary.ts";
import type { Comparer } from "../shadow/observer.ts";
import type { Evidence } from "../evidence/evidence.ts";
import {
  isHarmless,
  isOldOperation,
  type OldOperation,
  type Operation,
} from "../exchange/operations.ts";
import { isCounted } from "../routes/moved_share.ts";
import { findOperation, isSafeMethod, isSafeRequest } from "../exchange/match_operation.ts";
import type { Peer, RequestHead } from "./request_head.ts";
import type { Route, Side } from "../exchange/route.ts";

/** A request for an operation of the contract. */
export interface Known {
  readonly operation: Operation;
  readonly route: Route;
}

/** A request for an operation that both sides know. */
export interface KnownToBoth extends Known {
  readonly operation: OldOperation;
}

/** How one request is dealt with. */
export interface Way {
  /** Undefined: nothing of the contract; the old server says what it makes of it. */
  readonly known: Known | undefined;
  /** Undefined: only one side could answer. */
  readonly knownToBoth: KnownToBoth | undefined;
  readonly side: Side;
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
export interface WayDeps {
  readonly routeOf: (operation: Operation) => Route;
  readonly readClient: ReadClient;
  readonly canaryBy: CanaryBy;
  readonly comparer: Pick<Comparer, "wants">;
}

/** Decides how a request is dealt with. */
export function findWay(
  deps: WayDeps,
  method: string,
  target: string,
  head: RequestHead,
  peer: Peer,
): Way {
  const operation = findOperation(method, target);
  if (operation === undefined) {
    return {
      known: undefined,
      knownToBoth: undefined,
      side: "legacy",
      bucket: undefined,
      compared: undefined,
      isSafe: isSafeMethod(method),
      outlivesClient: !isSafeMethod(method),
    };
  }
  const route = deps.routeOf(operation);
  const knownToBoth = isOldOperation(operation) ? { operation, route } : undefined;
  const bucket = isCounted(route.mode) ? bucketOfClient(deps, operation, head, peer) : undefined;
  const side = chooseSide(route.mode, bucket ?? 0);
  return {
    known: { operation, route },
    knownToBoth,
    side,
    bucket,
    compared: knownToBoth && whatToCompare(deps, knownToBoth, side),
    isSafe: isSafeRequest(method, operation),
    outlivesClient: !isSafeMethod(method),
  };
}

/**
 * The way of a request that Lotline was to answer and that is the old server's by now, since its route
 * went back after its head had come; undefined: there is no such change. Nobody compares it.
 */
export function findWayBack(
  deps: WayDeps,
  way: Way,
  head: RequestHead,
  peer: Peer,
): Way | undefined {
  if (way.side !== "service" || way.known === undefined) return undefined;
  const { operation, route: before } = way.known;
  const route = deps.routeOf(operation);
  // A route that is killed has another mode and the same epoch.
  if (route.epoch === before.epoch && route.mode.name === before.mode.name) return undefined;
  const bucket = isCounted(route.mode)
    ? way.bucket ?? bucketOfClient(deps, operation, head, peer)
    : undefined;
  if (chooseSide(route.mode, bucket ?? 0) === "service") return undefined;
  return {
    ...way,
    bucket,
    known: { operation, route },
    knownToBoth: way.knownToBoth && { ...way.knownToBoth, route },
    side: "legacy",
    compared: undefined,
  };
}

/**
 * Counts a request that is over for the side that had it last, whichever it was to go to: what Lotline
 * was to answer and the old server did was not moved.
 */
export function countClient(
  evidence: Pick<Evidence, "served">,
  { known, bucket }: Way,
  { isProbe }: RequestHead,
  side: Side | undefined,
): void {
  if (known === undefined || bucket === undefined || side === undefined || isProbe) return;
  evidence.served(known.operation, known.route, side, bucket);
}

function bucketOfClient(
  { readClient, canaryBy }: WayDeps,
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
    isHarmless: isOldOperation(operation) && isHarmless(operation),
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
  { comparer }: WayDeps,
  { operation, route }: KnownToBoth,
  side: Side,
): Way["compared"] {
  const isSeen = isHarmless(operation) || route.mode.name === "legacy";
  // What Lotline has stored can't be asked of the old server, which knows no dry run.
  if (!isSeen && side === "service") return undefined;
  if (!comparer.wants(operation, route)) return undefined;
  return isSeen ? "answer" : "dry_run";
}
