import { bucketBy, chooseUpstream } from "../routes/canary.ts";
import type { Observer } from "../shadow/shadow.ts";
import {
  isLegacyOperation,
  isSafeOperation,
  type LegacyOperation,
} from "../exchange/operations.ts";
import { isCounted } from "../routes/moved_share.ts";
import { findOperation, isSafeMethod, isSafeRequest } from "../exchange/match_operation.ts";
import type { ProxyDeps } from "./proxied_request_deps.ts";
import type { Peer, RequestHead } from "./request_head.ts";
import type { Route, Upstream } from "../exchange/route.ts";

/** How one request is handled. */
export type Decision = ReturnType<typeof decide>;

export type DecideDeps = Pick<ProxyDeps<unknown>, "routeOf" | "readClient" | "canaryBy"> & {
  readonly observer: Pick<Observer, "wants">;
};

export function decide(
  deps: DecideDeps,
  method: string,
  target: string,
  head: RequestHead,
  peer: Peer,
) {
  const operation = findOperation(method, target);
  const route = operation && deps.routeOf(operation);
  const comparable = operation && isLegacyOperation(operation) ? operation : undefined;
  const bucket = route && bucketOn(route, deps, head, peer);
  const upstream = route === undefined ? "legacy" : chooseUpstream(route.mode, bucket ?? 0);
  return {
    /** Undefined: the contract has no such operation, and the request goes to the old server. */
    route,
    /** The route's operation, if both upstreams know it. */
    comparable,
    upstream,
    /** The client's; undefined on routes whose clients aren't counted. */
    bucket,
    compared: route && comparable && howToCompare(deps, comparable, route, upstream),
    /** Whether it may be sent twice: its method is safe, or it is the old login, which writes nothing. */
    isSafe: isSafeRequest(method, operation),
    /** Whether it runs to its end after its client has left: its method isn't safe. */
    outlivesClient: !isSafeMethod(method),
  };
}

/**
 * The decision for a request to Lotline whose route has returned to the old server since its head
 * arrived; undefined: the first decision still holds. Its exchange isn't observed.
 */
export function decideFallback(
  deps: DecideDeps,
  decision: Decision,
  head: RequestHead,
  peer: Peer,
): Decision | undefined {
  const before = decision.route;
  if (decision.upstream !== "service" || before === undefined) return undefined;
  const route = deps.routeOf(before.operation);
  // The kill switch changes the mode and leaves the epoch.
  if (route.epoch === before.epoch && route.mode.name === before.mode.name) return undefined;
  const bucket = bucketOn(route, deps, head, peer, decision.bucket);
  if (chooseUpstream(route.mode, bucket ?? 0) === "service") return undefined;
  return { ...decision, route, bucket, upstream: "legacy", compared: undefined };
}

/** @param known the client's bucket, if it was computed before: a random one must not change */
function bucketOn(
  { operation, mode }: Route,
  { readClient, canaryBy }: DecideDeps,
  head: RequestHead,
  peer: Peer,
  known?: number,
): number | undefined {
  if (!isCounted(mode)) return undefined;
  if (known !== undefined) return known;
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

/**
 * `response`: the exchange is observed; `dry_run`: Lotline's dry run comes first; undefined: the exchange
 * isn't observed.
 */
function howToCompare(
  { observer }: DecideDeps,
  operation: LegacyOperation,
  route: Route,
  upstream: Upstream,
): "response" | "dry_run" | undefined {
  const needsNoDryRun = isSafeOperation(operation) || route.mode.name === "legacy";
  // The old server has no dry run, so that a write to Lotline can't be compared.
  if (!needsNoDryRun && upstream === "service") return undefined;
  if (!observer.wants(operation, route)) return undefined;
  return needsNoDryRun ? "response" : "dry_run";
}
