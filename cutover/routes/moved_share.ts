import type { Mode } from "../exchange/route.ts";

/*
 * How much of a route's traffic was really moved, and whether that is what its step says.
 */

/** What clients' requests of a route became in some time. */
export interface MovedShare {
  readonly requests: number;
  /** Of them, those that Lotline answered. */
  readonly movedRequests: number;
  /** Buckets of clients, which is as good as clients up to some thousand of them. */
  readonly clients: number;
  /** Of them, those that Lotline answered at least once. */
  readonly movedClients: number;
}

/** Which clients were seen: how many of them a canary of n % moves, for n from 0 to 100. */
export type ClientsBelow = readonly number[];

/** No client was seen. */
export const NO_SHARE: MovedShare = {
  requests: 0,
  movedRequests: 0,
  clients: 0,
  movedClients: 0,
};

/** Whether clients of a route are counted: where they are moved, and where that is prepared. */
export function isCounted(mode: Mode): boolean {
  return mode.name === "shadow" || mode.name === "canary";
}

/** `Lotline answered 12 of 500 requests (2.4 %), for 1 of 40 clients (2.5 %)`. */
export function describeShare(share: MovedShare): string {
  const { requests, movedRequests, clients, movedClients } = share;
  return `Lotline answered ${partOf(movedRequests, requests, "request")}, ` +
    `for ${partOf(movedClients, clients, "client")}`;
}

/**
 * Why a canary isn't what its step says, if so: it moved nobody, so that it shows nothing; it moved
 * everybody, so that it is no step; or the share of the requests or clients that it moved is far from
 * the step.
 *
 * @param factor so many times the step's odds, or so many times less, a share may have
 */
export function shareGap(mode: Mode, share: MovedShare, factor: number): string | undefined {
  if (mode.name !== "canary") return undefined;
  const { requests, movedRequests, clients, movedClients } = share;
  const step = `canary ${mode.percent} %`;
  if (requests === 0) return `no client was seen, so that ${step} shows nothing`;
  const of = `${counted(requests, "request")} of ${counted(clients, "client")}`;
  if (movedRequests === 0) {
    return `nobody was moved: Lotline answered none of ${of}, so that ${step} shows nothing`;
  }
  if (movedRequests === requests) {
    return `everybody was moved: Lotline answered all of ${of}, so that ${step} is no step`;
  }
  const isFar = isFarFrom(mode.percent, movedClients, clients, factor) ||
    isFarFrom(mode.percent, movedRequests, requests, factor);
  return isFar ? `${describeShare(share)}: that is far from ${step}` : undefined;
}

/** Why a canary of these clients would not be what it says, if so; without clients nobody knows. */
export function stepGap(
  mode: Mode,
  below: ClientsBelow | undefined,
  factor: number,
): string | undefined {
  const clients = below?.[100] ?? 0;
  if (mode.name !== "canary" || clients === 0) return undefined;
  const moved = below?.[mode.percent] ?? 0;
  const step = `canary ${mode.percent} %`;
  const seen = `${counted(clients, "client")} seen`;
  if (moved === 0) return `${step} would move none of ${seen}`;
  if (moved === clients) return `${step} would move all of ${seen}`;
  return isFarFrom(mode.percent, moved, clients, factor)
    ? `${step} would move ${moved} of ${seen} (${percent(moved, clients)} %)`
    : undefined;
}

/** What to do where a canary isn't possible. */
export const NO_CANARY = "Tell clients apart by CANARY_BY, or leave the canary out with " +
  "--steps shadow,100";

/** Shares near 0 and near 100 % count by what they leave: 99 % is as far from 50 % as 1 % is. */
function isFarFrom(step: number, part: number, whole: number, factor: number): boolean {
  const times = (part / (whole - part)) / (step / (100 - step));
  return times > factor || times < 1 / factor;
}

function partOf(part: number, whole: number, noun: string): string {
  if (whole === 0) return `none of 0 ${noun}s`;
  return `${part} of ${counted(whole, noun)} (${percent(part, whole)} %)`;
}

const percent = (part: number, whole: number) => Number((part / whole * 100).toPrecision(3));
const counted = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;
