import type { ReadClient } from "../client_address.ts";
import { bucketOf, chooseSide } from "./choose.ts";
import type { Comparer } from "./comparer.ts";
import { isHarmless, isOldOperation, type OldOperation, type Operation } from "./operations.ts";
import { findOperation } from "./paths.ts";
import type { Peer, RequestHead } from "./request_head.ts";
import type { Route, Side } from "./route.ts";

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
  /**
   * `answer`: somebody wants to see the exchange; `dry_run`: before it, Lotline is asked what it would
   * do; undefined: nobody looks.
   */
  readonly compared: "answer" | "dry_run" | undefined;
  /** Whether it may be sent twice: by HTTP's rules, or since the old server's login writes nothing. */
  readonly isSafe: boolean;
}

/** What decides about a request. */
export interface WayDeps {
  readonly routeOf: (operation: Operation) => Route;
  readonly readClient: ReadClient;
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
      compared: undefined,
      isSafe: isSafe(method),
    };
  }
  const route = deps.routeOf(operation);
  const knownToBoth = isOldOperation(operation) ? { operation, route } : undefined;
  const bucket = route.mode.name === "canary" ? bucketOfClient(deps, head, peer) : 0;
  const side = chooseSide(route.mode, bucket);
  return {
    known: { operation, route },
    knownToBoth,
    side,
    compared: knownToBoth && whatToCompare(deps, knownToBoth, side),
    isSafe: isSafe(method) || operation === "login",
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
  const bucket = route.mode.name === "canary" ? bucketOfClient(deps, head, peer) : 0;
  if (chooseSide(route.mode, bucket) === "service") return undefined;
  return {
    ...way,
    known: { operation, route },
    knownToBoth: way.knownToBoth && { ...way.knownToBoth, route },
    side: "legacy",
    compared: undefined,
  };
}

function isSafe(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS" || method === "TRACE";
}

function bucketOfClient({ readClient }: WayDeps, head: RequestHead, peer: Peer): number {
  const headers = {
    get: (name: string) => name === "x-forwarded-for" ? head.forwardedFor ?? null : null,
  };
  return bucketOf(head.authorization, readClient({ headers }, peer.address).address);
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
